// SPDX-License-Identifier: MIT
#pragma once
// exp, log, tanh and erf for loops that the compiler vectorises. The f32 forms are straight-line
// polynomials (Chebyshev fits of our own) with errors of about 2 units in the last place; they give
// the same bits in a vector lane and in a scalar tail, so a result does not depend on how a range
// was cut. libmvec would not promise that: the f64 forms are therefore calls out of line.
//
//   for (...) y[i] = x[i] / (1 + exp_of(-x[i]));

#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy::on_cpu {

double exp_of(double x);
double log_of(double x);
double tanh_of(double x);
double erf_of(double x);
float pow_of(float x, float exponent);
double pow_of(double x, double exponent);

// 2^n for n in [-126, 127].
[[gnu::always_inline]] inline float power_of_two(std::int32_t n) {
  return std::bit_cast<float>((static_cast<std::uint32_t>(n) + 127u) << 23);
}

// x = n ln 2 + r, e^x = 2^n e^r. NaN gives NaN, overflow inf, underflow 0 by way of subnormals.
[[gnu::always_inline]] inline float exp_of(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the integer in the low bits
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = std::fma(x, 1.44269504f, kRound);
  const float n = shifted - kRound;
  float r = std::fma(n, -0.693145752f, x);  // ln 2 in two parts: n times the first is exact
  r = std::fma(n, -1.42860677e-06f, r);
  float q = 0.00139262508f;
  q = std::fma(q, r, 0.00836323288f);
  q = std::fma(q, r, 0.0416665542f);
  q = std::fma(q, r, 0.166665767f);
  q = std::fma(q, r, 0.5f);
  const float power = 1.0f + std::fma(q, r * r, r);
  const std::int32_t whole = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) -
                                                       std::bit_cast<std::uint32_t>(kRound));
  const std::int32_t half = whole >> 1;  // in two steps: 2^128 and 2^-149 are no floats' exponents
  return power * power_of_two(half) * power_of_two(whole - half);
}

// x = 2^n m with m in [sqrt(1/2), sqrt(2)), log m by a polynomial in m - 1.
[[gnu::always_inline]] inline float log_of(float x) {
  const bool tiny = x < 0x1p-126f;
  const float normal = tiny ? x * 0x1p23f : x;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(normal);
  const std::int32_t n = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(n) << 23));
  const float f = m - 1.0f, e = static_cast<float>(n) - (tiny ? 23.0f : 0.0f);
  float p = -0.0790274377f;
  p = std::fma(p, f, 0.126223192f);
  p = std::fma(p, f, -0.129981838f);
  p = std::fma(p, f, 0.142144959f);
  p = std::fma(p, f, -0.166412815f);
  p = std::fma(p, f, 0.200010451f);
  p = std::fma(p, f, -0.250003064f);
  p = std::fma(p, f, 0.333333307f);
  const float square = f * f;
  const float tail = std::fma(p * f, square, std::fma(-0.5f, square, e * 1.42860677e-06f));
  const float value = std::fma(e, 0.693145752f, f + tail);
  const float special = x < 0 ? NAN : (x == 0 ? -INFINITY : x);  // inf and NaN give themselves
  return x > 0 && x < INFINITY ? value : special;
}

[[gnu::always_inline]] inline float tanh_of(float x) {
  const float a = std::fabs(x), t = x * x;
  float p = -0.00609671417f;
  p = std::fma(p, t, 0.020997179f);
  p = std::fma(p, t, -0.0538509086f);
  p = std::fma(p, t, 0.133327697f);
  p = std::fma(p, t, -0.333333289f);
  const float small = std::fma(p * t, x, x);
  const float large = 1.0f - 2.0f / (exp_of(2 * a) + 1.0f);
  return a < 0.625f ? small : std::copysign(large, x);
}

// Below 1 a polynomial in x^2, above it 1 - e^-q(|x|).
[[gnu::always_inline]] inline float erf_of(float x) {
  const float a = std::fabs(x), t = x * x;
  float p = 7.87587506e-05f;
  p = std::fma(p, t, -0.000801686429f);
  p = std::fma(p, t, 0.00518908742f);
  p = std::fma(p, t, -0.026854212f);
  p = std::fma(p, t, 0.112835947f);
  p = std::fma(p, t, -0.376126266f);
  p = std::fma(p, t, 0.128379166f);
  const float b = a > 4.0f ? 4.0f : a;
  float q = 1.33388704e-05f;
  q = std::fma(q, b, -0.000318150469f);
  q = std::fma(q, b, 0.0034415977f);
  q = std::fma(q, b, -0.0226428218f);
  q = std::fma(q, b, 0.103372203f);
  q = std::fma(q, b, 0.63901475f);
  q = std::fma(q, b, 1.12598781f);
  q = std::fma(q, b, 0.000736986726f);
  const float large = 1.0f - exp_of(-q);
  return a < 1.0f ? std::fma(p, x, x) : std::copysign(large, x);
}

}  // namespace convoy::on_cpu
