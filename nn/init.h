// SPDX-License-Identifier: MIT
#pragma once
// How parameters start: PyTorch's formulas, drawn from Philox keyed by the seed and the ordinal of
// the parameter, so that they depend on neither threads nor devices nor other parameters.
//
//   Init init = kaiming_normal(weight.shape(), kReluGain, FanMode::fan_out);
//   fill(weight, init, PhiloxKey{.seed = 42, .stream = 7});
//
// Weights are [out, in] or KRSC [out, kernel h, kernel w, in / groups].

#include <cstdint>

#include "kernels/random.h"
#include "runtime/tensor.h"

namespace convoy::nn {

// A distribution with its two numbers.
struct Init {
  enum class Kind : std::uint8_t { constant, uniform, normal, trunc_normal };
  Kind kind = Kind::constant;
  double a = 0;              // the constant; the low end; the mean
  double b = 0;              // the high end; the standard deviation
  double low = 0, high = 0;  // trunc_normal: where it is cut, in absolute values

  static Init constant(double value) { return {.a = value}; }
  static Init uniform(double low, double high) { return {Kind::uniform, low, high}; }
  static Init normal(double mean, double std) { return {Kind::normal, mean, std}; }
  // As torch.nn.init.trunc_normal_: a standard deviation of 0.02 is practically not cut at 2.
  static Init trunc_normal(double mean, double std, double low = -2, double high = 2) {
    return {Kind::trunc_normal, mean, std, low, high};
  }
};

// Connections into and out of one unit.
struct Fan {
  double in = 0, out = 0;
};
Fan fan_of(const Shape& weight);  // throws Error unless of rank 2 or 4

inline constexpr double kReluGain = 1.4142135623730951;  // sqrt(2)
double leaky_relu_gain(double negative_slope);           // sqrt(2 / (1 + slope^2))

enum class FanMode : std::uint8_t { fan_in, fan_out };
// He et al., arXiv:1502.01852: variance gain^2 / fan.
Init kaiming_uniform(const Shape& weight, double gain = kReluGain, FanMode mode = FanMode::fan_in);
Init kaiming_normal(const Shape& weight, double gain = kReluGain, FanMode mode = FanMode::fan_in);
// Glorot and Bengio, AISTATS 2010: variance 2 gain^2 / (fan_in + fan_out).
Init xavier_uniform(const Shape& weight, double gain = 1);
Init xavier_normal(const Shape& weight, double gain = 1);
// What PyTorch's Linear and Conv2d start with, weight and bias alike: U(-1, 1) / sqrt(fan_in).
Init default_init(const Shape& weight);

// Writes f32 or f64 values in place (outside the tape).
void fill(const Tensor& tensor, const Init& init, const PhiloxKey& key);

}  // namespace convoy::nn
