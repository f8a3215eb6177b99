// SPDX-License-Identifier: MIT
#pragma once
// Functions of one operand, forward and backward. x, y, dy, dx are dense; y may be x and dx may be
// dy (in place). NaN in gives NaN out, as in PyTorch: relu(NaN) and clamp(NaN) are NaN. Else
// the formulas decide in IEEE arithmetic, as there: gelu, silu and hardswish of -inf are NaN.
//
//   run(Unary{UnaryFn::relu, n, x, y, DType::f32}, {}, nullptr, stream);
//   run(UnaryBackward{UnaryFn::relu, n, y, dy, dx, DType::f32}, {}, nullptr, stream);

#include "kernels/base.h"

namespace convoy {

// y for the fields alpha and beta; the derivative at a kink is the one that PyTorch takes.
enum class UnaryFn : std::uint8_t {
  relu,         // max(x, 0), derivative 0 at 0
  relu6,        // min(max(x, 0), 6), derivative 0 at 0 and 6
  leaky_relu,   // x > 0 ? x : alpha x
  sigmoid,      // 1 / (1 + e^-x)
  tanh,         //
  gelu,         // x/2 (1 + erf(x / sqrt 2)); Hendrycks and Gimpel, arXiv:1606.08415
  gelu_tanh,    // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  silu,         // x sigmoid(x)
  hardswish,    // x relu6(x + 3) / 6; Howard et al., arXiv:1905.02244
  hardsigmoid,  // relu6(x + 3) / 6
  exp,          //
  log,          // natural; log(0) = -inf, below 0 NaN
  sqrt,         //
  clamp,        // min(max(x, alpha), beta), derivative 1 at both ends
  neg,          // -x
  square,       // x^2
  pow,          // x^alpha
  affine,       // alpha x + beta
  reciprocal    // alpha / x
};

const char* name(UnaryFn fn);  // "relu"
inline std::string to_text(UnaryFn fn) { return name(fn); }

// Which of the two the backward reads: the output y (true) or the input x (false).
constexpr bool gradient_reads_output(UnaryFn fn) {
  return fn == UnaryFn::relu || fn == UnaryFn::relu6 || fn == UnaryFn::sigmoid ||
         fn == UnaryFn::tanh || fn == UnaryFn::exp || fn == UnaryFn::sqrt;
}
// Functions whose derivative is a constant: `saved` may then be null.
constexpr bool gradient_is_constant(UnaryFn fn) {
  return fn == UnaryFn::neg || fn == UnaryFn::affine;
}

struct Unary {
  UnaryFn fn;
  std::int64_t count;
  const void* x;  // [count]
  void* y;        // [count]
  DType dtype;
  double alpha = 0;
  double beta = 0;
};
CONVOY_KERNEL_OP(Unary)

// dx (+)= dy * fn'(x).
struct UnaryBackward {
  UnaryFn fn;
  std::int64_t count;
  const void* saved;  // [count]: y or x, as gradient_reads_output says
  const void* dy;     // [count]
  void* dx;           // [count]
  DType dtype;
  double alpha = 0;
  double beta = 0;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(UnaryBackward)

}  // namespace convoy
