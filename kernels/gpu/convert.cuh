// SPDX-License-Identifier: MIT
#pragma once
// Every dtype as a C++ type, and the conversions between them as kernels/copy.h describes them.

#include <bit>
#include <limits>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;

template <class F>
void with_any_dtype(DType dtype, F&& f) {
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

// Unsigned integers of a size: what moves values about without looking at them.
template <std::size_t kBytes>
using Bits = std::conditional_t<
    kBytes == 1, std::uint8_t,
    std::conditional_t<kBytes == 2, std::uint16_t,
                       std::conditional_t<kBytes == 4, std::uint32_t, std::uint64_t>>>;

template <class F>
void with_bits(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1:
      return f(Type<Bits<1>>{});
    case 2:
      return f(Type<Bits<2>>{});
    case 4:
      return f(Type<Bits<4>>{});
    default:
      return f(Type<Bits<8>>{});
  }
}

// Truncates; saturates out of range; NaN becomes 0.
template <class To, class From>
__host__ __device__ To to_integer(From value) {
  constexpr To kMin = std::numeric_limits<To>::min(), kMax = std::numeric_limits<To>::max();
  constexpr From kLow = static_cast<From>(kMin);
  constexpr From kEnd = static_cast<From>(kMax / 2 + 1) * 2;  // the first number above kMax
  if (value != value) return 0;
  if (value <= kLow) return kMin;
  if (value >= kEnd) return kMax;
  return static_cast<To>(value);
}

// Rounds once: to odd on the way to f32, so that the rounding to 16 bits is the only one that
// shows.
template <class Half>
__device__ __forceinline__ Half narrow_double(double value) {
  const float towards_zero = __double2float_rz(value);
  const unsigned inexact = static_cast<double>(towards_zero) != value ? 1 : 0;
  return narrow<Half>(__uint_as_float(__float_as_uint(towards_zero) | inexact));
}

template <class To, class From>
__device__ __forceinline__ To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (kIsHalf<From>) {
    return convert<To>(widen(value));
  } else if constexpr (kIsHalf<To> && sizeof(From) == 1) {
    return narrow<To>(static_cast<float>(value));
  } else if constexpr (kIsHalf<To> && std::is_same_v<From, float>) {
    return narrow<To>(value);
  } else if constexpr (kIsHalf<To>) {
    return narrow_double<To>(static_cast<double>(value));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    return to_integer<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

// A number of the host as the dtype holds it.
template <class T>
T stored(double value) {
  if constexpr (kIsHalf<T>) {
    return from_double<T>(value);
  } else if constexpr (std::is_integral_v<T>) {
    return to_integer<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

}  // namespace convoy::CONVOY_TARGET
