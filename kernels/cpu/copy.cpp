// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"
#include "kernels/half.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 32768;  // elements that are worth waking a thread for

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;

template <class F>
void with_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(Type<float>{});
    case DType::f16:
      return f(Type<F16>{});
    case DType::bf16:
      return f(Type<BF16>{});
    case DType::f64:
      return f(Type<double>{});
    case DType::u8:
      return f(Type<std::uint8_t>{});
    case DType::i32:
      return f(Type<std::int32_t>{});
    case DType::i64:
      return f(Type<std::int64_t>{});
  }
}

// Truncates; saturates out of range; NaN becomes 0.
template <class To, class From>
To to_integer(From value) {
  constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
  constexpr From kEnd = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
  if (value != value) return 0;
  if (value <= kLow) return std::numeric_limits<To>::min();
  if (value >= kEnd) return std::numeric_limits<To>::max();
  return static_cast<To>(value);
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (kIsHalf<From>) {
    return convert<To>(to_float(value));
  } else if constexpr (kIsHalf<To> && std::is_same_v<From, float>) {
    return from_float<To>(value);
  } else if constexpr (kIsHalf<To>) {
    return from_double<To>(static_cast<double>(value));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    return to_integer<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <class T>
void copy_run(const T* x, std::int64_t x_stride, T* y, std::int64_t y_stride, std::int64_t n) {
  if (x_stride == 1 && y_stride == 1) {
    std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(T));
  } else if (y_stride == 1) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i * x_stride];
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i * y_stride] = x[i * x_stride];
  }
}

template <class T>
void add_run(const T* x, std::int64_t x_stride, T* y, std::int64_t y_stride, std::int64_t n) {
  if (x_stride == 1 && y_stride == 1) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i * y_stride] += x[i * x_stride];
  }
}

// Whether two dimensions trade places: the innermost one is dense in y, another one in x.
int dense_dim_of_x(const StridedLoop<2>& loop) {
  if (loop.stride[0][0] == 1 || loop.stride[1][0] != 1 || loop.extent[0] < 4) return 0;
  for (int d = 1; d < loop.rank; ++d) {
    if (loop.stride[0][d] == 1 && loop.extent[d] >= 4) return d;
  }
  return 0;
}

// Copies in square tiles, so that the cache lines of both sides are used up while they are there.
template <class T>
void transpose(const StridedLoop<2>& loop, int other, const T* x, T* y) {
  constexpr std::int64_t kSide = 32;
  const auto sides = [&](int d) { return (loop.extent[d] + kSide - 1) / kSide; };
  StridedLoop<2> tiles = loop;  // the same loop in steps of a tile
  for (const int d : {0, other}) {
    tiles.extent[d] = sides(d);
    for (auto& stride : tiles.stride) stride[d] *= kSide;
  }
  std::int64_t count = 1, elements = kSide * kSide;
  for (int d = 0; d < tiles.rank; ++d) count *= tiles.extent[d];
  const std::int64_t columns = tiles.extent[0], x_step = loop.stride[0][0];
  const std::int64_t y_step = loop.stride[1][other];
  std::int64_t inner = 1;  // tiles that share their place in dimension `other`
  for (int d = 0; d < other; ++d) inner *= tiles.extent[d];
  parallel_for(count, kGrain / elements, [&](std::int64_t begin, std::int64_t end) {
    for_each_run(tiles, begin, end, [&](const auto& at, std::int64_t first, std::int64_t n) {
      const std::int64_t row = first / inner % tiles.extent[other] * kSide;
      const std::int64_t height = std::min(kSide, loop.extent[other] - row);
      for (std::int64_t t = 0; t < n; ++t) {
        const std::int64_t column = (first + t) % columns * kSide;
        const std::int64_t width = std::min(kSide, loop.extent[0] - column);
        const T* const from = x + at[0] + t * tiles.stride[0][0];
        T* const to = y + at[1] + t * tiles.stride[1][0];
        for (std::int64_t i = 0; i < height; ++i) {
          for (std::int64_t j = 0; j < width; ++j) to[i * y_step + j] = from[j * x_step + i];
        }
      }
    });
  });
}

template <class T, class Row>
void walk(const Copy& op, Row row) {
  const auto loop = merge_dims<2>(op.shape, {op.x_strides, op.y_strides});
  const T* const x = static_cast<const T*>(op.x);
  T* const y = static_cast<T*>(op.y);
  const int other = dense_dim_of_x(loop);
  if (other > 0 && !op.accumulate && op.shape.count() > 0) return transpose(loop, other, x, y);
  parallel_for(op.shape.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for_each_run(loop, begin, end, [&](const auto& at, std::int64_t, std::int64_t n) {
      row(x + at[0], loop.stride[0][0], y + at[1], loop.stride[1][0], n);
    });
  });
}

}  // namespace

Plan plan(const Fill&, const Device&) { return {}; }

void run(const Fill& op, const Plan&, void*, const Stream&) {
  with_any(op.dtype, [&]<class T>(Type<T>) {
    const T value = convert<T>(op.value);
    parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::fill(static_cast<T*>(op.y) + begin, static_cast<T*>(op.y) + end, value);
    });
  });
}

Plan plan(const Copy&, const Device&) { return {}; }

// Copying moves bits: one loop per size serves all dtypes of that size.
void run(const Copy& op, const Plan&, void*, const Stream&) {
  if (op.accumulate) {
    return with_float(op.dtype, [&]<class T>(Type<T>) { walk<T>(op, add_run<T>); });
  }
  switch (size_of(op.dtype)) {
    case 1:
      return walk<std::uint8_t>(op, copy_run<std::uint8_t>);
    case 2:
      return walk<std::uint16_t>(op, copy_run<std::uint16_t>);
    case 4:
      return walk<std::uint32_t>(op, copy_run<std::uint32_t>);
    default:
      return walk<std::uint64_t>(op, copy_run<std::uint64_t>);
  }
}

Plan plan(const Cast&, const Device&) { return {}; }

void run(const Cast& op, const Plan&, void*, const Stream&) {
  with_any(op.dtype, [&]<class From>(Type<From>) {
    with_any(op.out_dtype, [&]<class To>(Type<To>) {
      parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        const From* const x = static_cast<const From*>(op.x);
        To* const y = static_cast<To*>(op.y);
        for (std::int64_t i = begin; i < end; ++i) y[i] = convert<To>(x[i]);
      });
    });
  });
}

}  // namespace convoy::on_cpu
