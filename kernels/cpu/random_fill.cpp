// SPDX-License-Identifier: MIT
#include "kernels/random_fill.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// A word as a number inside (0, 1): never an end, so that logarithms and quantiles are finite.
double inside_unit(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }

// Calls f(words, first element, how many of the four) for every Philox block, over the threads,
// and stores what f returns.
template <class Fill, class F>
void fill_blocks(const Fill& op, F f) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    T* const y = static_cast<T*>(op.y);
    parallel_for((op.count + 3) / 4, 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const auto block = static_cast<std::uint64_t>(b);
        const std::array<double, 4> values = f(philox_block(op.key, op.step, block));
        const std::int64_t n = std::min<std::int64_t>(4, op.count - 4 * b);
        for (std::int64_t i = 0; i < n; ++i) {
          y[4 * b + i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
        }
      }
    });
  });
}

std::pair<double, double> box_muller(std::uint32_t a, std::uint32_t b) {
  const double radius = std::sqrt(-2 * std::log(inside_unit(a)));
  const double angle = 2 * std::numbers::pi * inside_unit(b);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

// x with normal_cdf(x) = p, for p inside (0, 1): Winitzki's approximation (2008), then Halley's
// steps, each of which triples the number of correct digits.
double normal_quantile(double p) {
  const double l = std::log(4 * p * (1 - p)), a = 0.147;
  const double c = 2 / (std::numbers::pi * a) + l / 2;
  const double z = std::sqrt(std::max(0.0, std::sqrt(c * c - l / a) - c));
  double x = std::copysign(std::numbers::sqrt2 * z, p - 0.5);
  for (int i = 0; i < 3; ++i) {
    const double error = normal_cdf(x) - p;
    const double u = error * std::sqrt(2 * std::numbers::pi) * std::exp(x * x / 2);
    x -= u / (1 + x * u / 2);
  }
  return x;
}

}  // namespace

Plan plan(const UniformFill&, const Device&) { return {}; }

void run(const UniformFill& op, const Plan&, void*, const Stream&) {
  // Rounding may reach `high` itself: the largest number below it is the last one.
  const double last = op.dtype == DType::f32
                          ? std::nextafter(static_cast<float>(op.high), -INFINITY)
                          : std::nextafter(op.high, -INFINITY);
  const double width = op.high - op.low, top = std::max(last, op.low);
  fill_blocks(op, [&](const PhiloxWords& words) {
    std::array<double, 4> y;
    for (std::size_t i = 0; i < 4; ++i) {
      y[i] = std::min(std::fma(width, double{to_uniform(words[i])}, op.low), top);
    }
    return y;
  });
}

Plan plan(const NormalFill&, const Device&) { return {}; }

void run(const NormalFill& op, const Plan&, void*, const Stream&) {
  fill_blocks(op, [&](const PhiloxWords& words) {
    const auto [a, b] = box_muller(words[0], words[1]);
    const auto [c, d] = box_muller(words[2], words[3]);
    return std::array<double, 4>{op.mean + op.std * a, op.mean + op.std * b, op.mean + op.std * c,
                                 op.mean + op.std * d};
  });
}

Plan plan(const TruncatedNormalFill&, const Device&) { return {}; }

void run(const TruncatedNormalFill& op, const Plan&, void*, const Stream&) {
  require_valid(op);
  const double first = normal_cdf((op.low - op.mean) / op.std);
  const double last = normal_cdf((op.high - op.mean) / op.std);
  fill_blocks(op, [&](const PhiloxWords& words) {
    std::array<double, 4> y;
    for (std::size_t i = 0; i < 4; ++i) {
      const double z = normal_quantile(first + (last - first) * inside_unit(words[i]));
      y[i] = std::clamp(op.mean + op.std * z, op.low, op.high);
    }
    return y;
  });
}

Plan plan(const PermutationFill&, const Device&) { return {}; }

void run(const PermutationFill& op, const Plan&, void*, const Stream&) {
  require_valid(op);
  for (std::int64_t i = 0; i < op.count; ++i) op.y[i] = i;
  for (std::int64_t i = op.count - 1; i > 0; --i) {
    const auto element = static_cast<std::uint64_t>(i);
    std::swap(op.y[i],
              op.y[philox_below(op.key, op.step, element, static_cast<std::uint32_t>(i + 1))]);
  }
}

}  // namespace convoy::on_cpu
