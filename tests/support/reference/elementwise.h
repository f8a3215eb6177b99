// SPDX-License-Identifier: MIT
#pragma once
// Functions of one operand as their definitions read, one value at a time, in double precision.

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"

namespace convoy::reference {

inline double unary(UnaryFn fn, double x, double alpha, double beta) {
  const double pi = std::acos(-1.0);
  const auto relu6 = [](double v) { return std::clamp(v, 0.0, 6.0); };
  switch (fn) {
    case UnaryFn::relu:
      return std::max(x, 0.0);
    case UnaryFn::relu6:
      return relu6(x);
    case UnaryFn::leaky_relu:
      return std::max(x, 0.0) + alpha * std::min(x, 0.0);
    case UnaryFn::sigmoid:
      return 0.5 * (1 + std::tanh(x / 2));
    case UnaryFn::tanh:
      return std::tanh(x);
    case UnaryFn::gelu:
      return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case UnaryFn::gelu_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * std::pow(x, 3))));
    case UnaryFn::silu:
      return x * 0.5 * (1 + std::tanh(x / 2));
    case UnaryFn::hardswish:
      return x * relu6(x + 3) / 6;
    case UnaryFn::hardsigmoid:
      return relu6(x + 3) / 6;
    case UnaryFn::exp:
      return std::exp(x);
    case UnaryFn::log:
      return std::log(x);
    case UnaryFn::sqrt:
      return std::sqrt(x);
    case UnaryFn::clamp:
      return std::max(alpha, std::min(x, beta));
    case UnaryFn::neg:
      return -x;
    case UnaryFn::square:
      return x * x;
    case UnaryFn::pow:
      return std::pow(x, alpha);
    case UnaryFn::affine:
      return alpha * x + beta;
    case UnaryFn::reciprocal:
      return alpha / x;
  }
  return 0;
}

// The derivative, by a five-point difference of the definition above: x within 1 % of a kink will
// not do. Good to about 1e-11.
inline double unary_slope(UnaryFn fn, double x, double alpha, double beta) {
  const double h = 2e-4 * std::max(0.05, std::abs(x));
  const auto difference = [&](double d) {
    return unary(fn, x + d, alpha, beta) - unary(fn, x - d, alpha, beta);
  };
  return (8 * difference(h) - difference(2 * h)) / (12 * h);
}

// The same where the backward reads the output: the derivative as a function of y.
inline double unary_slope_of_output(UnaryFn fn, double y) {
  switch (fn) {
    case UnaryFn::relu:
      return y > 0 ? 1 : 0;
    case UnaryFn::relu6:
      return y > 0 && y < 6 ? 1 : 0;
    case UnaryFn::sigmoid:
      return y - y * y;
    case UnaryFn::tanh:
      return (1 - y) * (1 + y);
    case UnaryFn::exp:
      return y;
    case UnaryFn::sqrt:
      return 0.5 / y;
    default:
      return NAN;  // reads the input
  }
}

}  // namespace convoy::reference
