// SPDX-License-Identifier: MIT
#pragma once
// The two 16-bit float formats as storage: bits in memory, arithmetic in f32. Conversions round to
// nearest even and keep infinities and NaN (IEEE 754-2008 binary16; bfloat16 is the upper half of
// a binary32).
//
//   F16 h = from_float<F16>(0.1f);   float f = to_float(h);

#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy {

struct F16 {
  std::uint16_t bits = 0;
};
struct BF16 {
  std::uint16_t bits = 0;
};

constexpr float to_float(BF16 h) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h.bits) << 16);
}

constexpr float to_float(F16 h) {
  const std::uint32_t sign = (h.bits & 0x8000u) << 16;
  const std::uint32_t rest = h.bits & 0x7fffu;
  // Subnormals: an integer times 2^-24. Others: shift, and move the exponent's bias from 15 to 127.
  const float small = static_cast<float>(static_cast<std::int32_t>(rest)) * 0x1p-24f;
  const std::uint32_t shifted = rest < 0x400u
                                    ? std::bit_cast<std::uint32_t>(small)
                                    : (rest << 13) + (rest < 0x7c00u ? 112u << 23 : 224u << 23);
  return std::bit_cast<float>(sign | shifted);
}

template <class H>
constexpr H from_float(float value);

template <>
constexpr BF16 from_float<BF16>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x40u;
  return {static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded)};
}

template <>
constexpr F16 from_float<F16>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
  // Below 2^-14 adding 0.5 aligns the value to units of 2^-24 and lets the adder round.
  const std::uint32_t small =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest < 0x38800000u ? rest : 0u) + 0.5f) -
      0x3f000000u;
  const std::uint32_t normal = (rest - (112u << 23) + 0xfffu + ((rest >> 13) & 1u)) >> 13;
  const std::uint32_t finite = rest < 0x38800000u ? small : normal;
  const std::uint32_t large = rest > 0x7f800000u ? 0x7e00u : 0x7c00u;  // NaN or inf
  return {static_cast<std::uint16_t>(sign | (rest >= 0x477ff000u ? large : finite))};
}

// A double to f32 by rounding to odd: a later rounding to 16 bits then equals a single rounding.
inline float round_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || nearest != nearest) return nearest;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1u);
}

template <class H>
H from_double(double value) {
  return from_float<H>(round_to_odd(value));
}

}  // namespace convoy
