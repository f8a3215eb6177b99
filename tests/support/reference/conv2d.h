// SPDX-License-Identifier: MIT
#pragma once
// Convolution by the definition, in double precision. One loop visits every (output, tap, channel)
// triple that meets an input value; the three passes differ only in which of the three arrays they
// add to.

#include <cstdint>
#include <vector>

#include "kernels/conv2d_geometry.h"

namespace convoy::reference {

// Calls f(index into y, index into weight, index into x) for every product in the convolution.
template <class F>
void for_each_product(const Conv2dGeometry& g, F&& f) {
  const std::int64_t depth = g.C / g.groups, filters = g.K / g.groups;
  for (std::int64_t n = 0; n < g.N; ++n)
    for (std::int64_t k = 0; k < g.K; ++k)
      for (std::int64_t p = 0; p < g.P; ++p)
        for (std::int64_t q = 0; q < g.Q; ++q)
          for (std::int64_t r = 0; r < g.R; ++r)
            for (std::int64_t s = 0; s < g.S; ++s) {
              const std::int64_t h = p * g.stride_h + r * g.dilation_h - g.pad_h;
              const std::int64_t w = q * g.stride_w + s * g.dilation_w - g.pad_w;
              if (h < 0 || h >= g.H || w < 0 || w >= g.W) continue;
              for (std::int64_t c = 0; c < depth; ++c) {
                const std::int64_t channel = (k / filters) * depth + c;
                f(static_cast<std::size_t>(((n * g.P + p) * g.Q + q) * g.K + k),
                  static_cast<std::size_t>(((k * g.R + r) * g.S + s) * depth + c),
                  static_cast<std::size_t>(((n * g.H + h) * g.W + w) * g.C + channel));
              }
            }
}

using Values = std::vector<double>;

inline Values conv2d_forward(const Conv2dGeometry& g, const Values& x, const Values& weight,
                             const Values& bias) {
  Values y(static_cast<std::size_t>(g.output_shape().count()));
  for (std::size_t i = 0; i < y.size() && !bias.empty(); ++i) y[i] = bias[i % bias.size()];
  for_each_product(g, [&](auto yi, auto wi, auto xi) { y.at(yi) += weight.at(wi) * x.at(xi); });
  return y;
}

inline Values conv2d_backward_input(const Conv2dGeometry& g, const Values& dy,
                                    const Values& weight) {
  Values dx(static_cast<std::size_t>(g.input_shape().count()));
  for_each_product(g, [&](auto yi, auto wi, auto xi) { dx.at(xi) += dy.at(yi) * weight.at(wi); });
  return dx;
}

inline Values conv2d_backward_weight(const Conv2dGeometry& g, const Values& x, const Values& dy) {
  Values dw(static_cast<std::size_t>(g.weight_shape().count()));
  for_each_product(g, [&](auto yi, auto wi, auto xi) { dw.at(wi) += dy.at(yi) * x.at(xi); });
  return dw;
}

inline Values conv2d_backward_bias(const Conv2dGeometry& g, const Values& dy) {
  Values db(static_cast<std::size_t>(g.K));
  for (std::size_t i = 0; i < dy.size(); ++i) db[i % db.size()] += dy[i];
  return db;
}

}  // namespace convoy::reference
