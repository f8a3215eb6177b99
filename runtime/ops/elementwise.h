// SPDX-License-Identifier: MIT
#pragma once
// Functions of one operand, element by element (kernels/elementwise.h has their formulas). Numbers
// join by operators: y = 2.0 * x + 1.0.
//
//   Tensor h = relu(linear(x, weight, bias));

#include "kernels/elementwise.h"
#include "runtime/tensor.h"

namespace convoy {

// Any of them by name; alpha and beta as the function has them.
Tensor unary(UnaryFn fn, const Tensor& x, double alpha = 0, double beta = 0);

enum class GeluForm : std::uint8_t { erf, tanh };

inline Tensor relu(const Tensor& x) { return unary(UnaryFn::relu, x); }
inline Tensor relu6(const Tensor& x) { return unary(UnaryFn::relu6, x); }
inline Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01) {
  return unary(UnaryFn::leaky_relu, x, negative_slope);
}
inline Tensor sigmoid(const Tensor& x) { return unary(UnaryFn::sigmoid, x); }
inline Tensor tanh(const Tensor& x) { return unary(UnaryFn::tanh, x); }
inline Tensor gelu(const Tensor& x, GeluForm form = GeluForm::erf) {
  return unary(form == GeluForm::erf ? UnaryFn::gelu : UnaryFn::gelu_tanh, x);
}
inline Tensor silu(const Tensor& x) { return unary(UnaryFn::silu, x); }
inline Tensor hardswish(const Tensor& x) { return unary(UnaryFn::hardswish, x); }
inline Tensor hardsigmoid(const Tensor& x) { return unary(UnaryFn::hardsigmoid, x); }
inline Tensor exp(const Tensor& x) { return unary(UnaryFn::exp, x); }
inline Tensor log(const Tensor& x) { return unary(UnaryFn::log, x); }
inline Tensor sqrt(const Tensor& x) { return unary(UnaryFn::sqrt, x); }
inline Tensor clamp(const Tensor& x, double min, double max) {
  return unary(UnaryFn::clamp, x, min, max);
}
inline Tensor square(const Tensor& x) { return unary(UnaryFn::square, x); }
inline Tensor pow(const Tensor& x, double exponent) { return unary(UnaryFn::pow, x, exponent); }
// scale * x + shift
inline Tensor affine(const Tensor& x, double scale, double shift) {
  return unary(UnaryFn::affine, x, scale, shift);
}

inline Tensor operator-(const Tensor& x) { return unary(UnaryFn::neg, x); }
inline Tensor operator+(const Tensor& x, double number) { return affine(x, 1, number); }
inline Tensor operator+(double number, const Tensor& x) { return affine(x, 1, number); }
inline Tensor operator-(const Tensor& x, double number) { return affine(x, 1, -number); }
inline Tensor operator-(double number, const Tensor& x) { return affine(x, -1, number); }
inline Tensor operator*(const Tensor& x, double number) { return affine(x, number, 0); }
inline Tensor operator*(double number, const Tensor& x) { return affine(x, number, 0); }
// By way of the reciprocal, in the tensor's precision.
inline Tensor operator/(const Tensor& x, double number) { return affine(x, 1 / number, 0); }
inline Tensor operator/(double number, const Tensor& x) {
  return unary(UnaryFn::reciprocal, x, number);
}

}  // namespace convoy
