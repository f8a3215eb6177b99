// SPDX-License-Identifier: MIT
#pragma once
// Reductions by visiting every element and asking which output it belongs to.

#include <cmath>
#include <vector>

#include "kernels/reduce.h"

namespace convoy::reference {

struct Place {
  std::int64_t output;  // row-major among the kept dimensions
  std::int64_t term;    // row-major among the reduced ones
  std::int64_t offset;  // in memory
};

inline Place place_of(const Shape& shape, const Strides& strides, std::uint32_t axes,
                      std::int64_t index) {
  Place place{0, 0, 0};
  std::int64_t output_step = 1, term_step = 1;
  for (int d = shape.rank() - 1; d >= 0; index /= shape[d], --d) {
    const std::int64_t at = index % shape[d];
    place.offset += at * strides[d];
    std::int64_t& step = (axes >> d & 1u) ? term_step : output_step;
    ((axes >> d & 1u) ? place.term : place.output) += at * step;
    step *= shape[d];
  }
  return place;
}

inline std::int64_t output_count(const Shape& shape, std::uint32_t axes) {
  std::int64_t n = 1;
  for (int d = 0; d < shape.rank(); ++d) n *= (axes >> d & 1u) ? 1 : shape[d];
  return n;
}

// Kahan summation of x, or of x * factor.
template <class T>
std::vector<double> sum(const Shape& shape, std::uint32_t axes, const Strides& strides, const T* x,
                        const Strides& factor_strides = {}, const T* factor = nullptr) {
  std::vector<double> total(static_cast<std::size_t>(output_count(shape, axes))), lost = total;
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const Place place = place_of(shape, strides, axes, i);
    double term = x[place.offset];
    if (factor) term *= factor[place_of(shape, factor_strides, axes, i).offset];
    const auto k = static_cast<std::size_t>(place.output);
    const double corrected = term - lost[k], next = total[k] + corrected;
    lost[k] = (next - total[k]) - corrected;
    total[k] = next;
  }
  return total;
}

// Position of the largest term of each output: the first NaN, else the first of the largest.
template <class T>
std::vector<std::int64_t> argmax(const Shape& shape, std::uint32_t axes, const Strides& strides,
                                 const T* x) {
  std::vector<std::int64_t> best(static_cast<std::size_t>(output_count(shape, axes)), -1);
  std::vector<T> value(best.size());
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const Place place = place_of(shape, strides, axes, i);
    const auto k = static_cast<std::size_t>(place.output);
    const T v = x[place.offset];
    if (best[k] < 0 || (!std::isnan(value[k]) && (std::isnan(v) || v > value[k]))) {
      best[k] = place.term;
      value[k] = v;
    }
  }
  return best;
}

}  // namespace convoy::reference
