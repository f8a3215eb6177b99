// SPDX-License-Identifier: MIT
// Double precision throughout, as on the cpu: these run once per parameter, or once per epoch.
#include "kernels/random_fill.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/gpu/convert.cuh"
#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// A word as a number inside (0, 1): never an end, so that logarithms and quantiles are finite.
__device__ __forceinline__ double inside_unit(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

struct Uniform {
  double low, width, top;

  __device__ __forceinline__ void operator()(const PhiloxWords& words, double (&y)[4]) const {
    for (int i = 0; i < 4; ++i) {
      const double v = fma(width, static_cast<double>(to_uniform(words[i])), low);
      y[i] = v < top ? v : top;
    }
  }
};

// Box and Muller's transform.
struct Normal {
  double mean, std;

  __device__ __forceinline__ void operator()(const PhiloxWords& words, double (&y)[4]) const {
    for (int i = 0; i < 4; i += 2) {
      const double radius = sqrt(-2.0 * log(inside_unit(words[i])));
      const double half_turns = 2.0 * inside_unit(words[i + 1]);
      y[i] = mean + std * (radius * cospi(half_turns));
      y[i + 1] = mean + std * (radius * sinpi(half_turns));
    }
  }
};

constexpr double kPi = 3.141592653589793, kSqrt2 = 1.4142135623730951;

__host__ __device__ __forceinline__ double normal_cdf(double x) { return erfc(-x / kSqrt2) / 2; }

// x with normal_cdf(x) = p, for p inside (0, 1): Winitzki's approximation (2008), then Halley's
// steps, each of which triples the number of correct digits.
__device__ __forceinline__ double normal_quantile(double p) {
  const double l = log(4 * p * (1 - p)), a = 0.147;
  const double c = 2 / (kPi * a) + l / 2;
  const double square = sqrt(c * c - l / a) - c;
  double x = copysign(kSqrt2 * sqrt(square > 0 ? square : 0.0), p - 0.5);
  for (int i = 0; i < 3; ++i) {
    const double error = normal_cdf(x) - p;
    const double u = error * sqrt(2 * kPi) * exp(x * x / 2);
    x -= u / (1 + x * u / 2);
  }
  return x;
}

struct TruncatedNormal {
  double mean, std, low, high;
  double first, last;  // normal_cdf at low and high

  __device__ __forceinline__ void operator()(const PhiloxWords& words, double (&y)[4]) const {
    for (int i = 0; i < 4; ++i) {
      const double v = mean + std * normal_quantile(first + (last - first) * inside_unit(words[i]));
      y[i] = v < low ? low : (v > high ? high : v);
    }
  }
};

// A thread makes the four numbers of one Philox block, or those among which its element is.
template <class T, class Make>
__global__ void __launch_bounds__(kFlatThreads)
    random_each(Flat flat, PhiloxKey key, std::uint64_t step, Make make, T* y) {
  begin_kernel();
  for_my_packs<4>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    double v[4];
    make(philox_block(key, step, static_cast<std::uint64_t>(first) / 4), v);
    if constexpr (N == 4) {
      Lanes<T, 4> lanes;
      for (int i = 0; i < 4; ++i) lanes.values[i] = convert<T>(v[i]);
      store_lanes(y + first, lanes);
    } else {
      const int which = static_cast<int>(first % 4);
      y[first] = convert<T>(which == 0 ? v[0] : which == 1 ? v[1] : which == 2 ? v[2] : v[3]);
    }
  });
}

template <class Fill, class MakeFor>
void run_fill(const char* name, const Fill& op, const Stream& stream, MakeFor make_for) {
  with_dtype(name, op.dtype, [&]<class T>(Type<T> type) {
    const auto make = make_for(type);
    launch_flat(flat_in_packs(4, op.count, op.y), stream,
                random_each<T, std::remove_const_t<decltype(make)>>, op.key, op.step, make,
                static_cast<T*>(op.y));
  });
}

// The largest number of the dtype below `high`.
template <class T>
double below(double high) {
  if constexpr (kIsHalf<T>) {
    T at = stored<T>(high);
    if ((at.bits & 0x7fff) == 0) {
      at.bits = 0x8001;
    } else {
      at.bits = static_cast<std::uint16_t>(at.bits + (at.bits & 0x8000 ? 1 : -1));
    }
    return to_float(at);
  } else {
    return std::nextafter(static_cast<T>(high), -std::numeric_limits<T>::infinity());
  }
}

__global__ void __launch_bounds__(kFlatThreads) count_up(std::int64_t count, std::int64_t* y) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (inside(i, count)) y[i] = i;
}

// Fisher and Yates' shuffle swaps one after the other, and the order is part of what it gives: one
// thread. Some 10^6 swaps a second, once per epoch.
__global__ void __launch_bounds__(1)
    shuffle_sequentially(std::int64_t count, PhiloxKey key, std::uint64_t step, std::int64_t* y) {
  begin_kernel();
  for (std::int64_t i = count - 1; i > 0; --i) {
    const auto bound = static_cast<std::uint32_t>(i + 1);
    const std::int64_t j = philox_below(key, step, static_cast<std::uint64_t>(i), bound);
    const std::int64_t mine = y[i], other = y[j];
    y[i] = other;
    y[j] = mine;
  }
}

}  // namespace

Plan plan(const UniformFill&, const Device&) { return {.variant = "philox_block_per_thread"}; }

void run(const UniformFill& op, const Plan&, void*, const Stream& stream) {
  run_fill("uniform", op, stream, [&]<class T>(Type<T>) {
    // Rounding may reach `high` itself: the largest number below it is the last one.
    return Uniform{op.low, op.high - op.low, std::max(below<T>(op.high), op.low)};
  });
}

Plan plan(const NormalFill&, const Device&) { return {.variant = "philox_block_per_thread"}; }

void run(const NormalFill& op, const Plan&, void*, const Stream& stream) {
  run_fill("normal", op, stream, [&](auto) { return Normal{op.mean, op.std}; });
}

Plan plan(const TruncatedNormalFill&, const Device&) {
  return {.variant = "philox_block_per_thread"};
}

void run(const TruncatedNormalFill& op, const Plan&, void*, const Stream& stream) {
  require_valid(op);
  const TruncatedNormal make{.mean = op.mean,
                             .std = op.std,
                             .low = op.low,
                             .high = op.high,
                             .first = normal_cdf((op.low - op.mean) / op.std),
                             .last = normal_cdf((op.high - op.mean) / op.std)};
  run_fill("truncated_normal", op, stream, [&](auto) { return make; });
}

Plan plan(const PermutationFill&, const Device&) { return {.variant = "one_thread"}; }

void run(const PermutationFill& op, const Plan&, void*, const Stream& stream) {
  require_valid(op);
  launch({.grid = blocks_for(op.count, kFlatThreads), .block = kFlatThreads, .stream = stream},
         count_up, op.count, op.y);
  launch({.grid = op.count > 1 ? 1u : 0u, .block = 1, .stream = stream}, shuffle_sequentially,
         op.count, op.key, op.step, op.y);
}

}  // namespace convoy::CONVOY_TARGET
