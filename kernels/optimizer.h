// SPDX-License-Identifier: MIT
#pragma once
// Optimizer steps over flat ranges: parameters, gradients and state of a whole group, or any part
// of it, are plain arrays, so a shard is stepped as the whole is. Formulas are PyTorch's. What
// changes from step to step is read from StepState: learning rate, step, and the factors that make
// g = gradient * gradient_factor / loss_scale * clip_factor. Where found_inf is set, a step writes
// nothing. State arrays hold zeros before the first step. A parameter that is infinite becomes NaN:
// weight decay multiplies it, also by 0.
//
// Mixed precision: parameter, gradient and state are f32, and the same launch writes the model's
// half weights, the new parameter rounded.
//
//   run(SgdStep{n, p, g, m, state, group, DType::f32, {.momentum = 0.9}}, {}, nullptr, stream);

#include "kernels/base.h"

namespace convoy {

struct HalfCopy {
  void* data = nullptr;  // as the parameter; null: there is none
  DType dtype = DType::f16;
};
// Throws Error unless the copy is f16 or bf16 and the parameter f32.
void require_half_copy(const char* op, DType dtype, const HalfCopy& half);

struct SgdOptions {
  double momentum = 0;
  double weight_decay = 0;  // L2: joins the gradient
  bool nesterov = false;
};

// g += weight_decay p;  b = momentum b + g;  p -= lr (nesterov ? g + momentum b : b)
struct SgdStep {
  std::int64_t count;
  void* parameter;       // [count]
  const void* gradient;  // [count]
  void* momentum;        // [count]; may be null without momentum
  const StepState* state;
  int group;  // which learning rate
  DType dtype;
  SgdOptions options = {};
  HalfCopy half = {};
};
CONVOY_KERNEL_OP(SgdStep)

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool decoupled = true;  // AdamW (Loshchilov and Hutter, arXiv:1711.05101); false: Adam with L2
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps), with t = StepState::updates + 1
struct AdamWStep {
  std::int64_t count;
  void* parameter;       // [count]
  const void* gradient;  // [count]
  void* exp_avg;         // [count], m
  void* exp_avg_sq;      // [count], v
  const StepState* state;
  int group;
  DType dtype;
  AdamOptions options = {};
  HalfCopy half = {};
};
CONVOY_KERNEL_OP(AdamWStep)

struct RmspropOptions {
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
};

// s = alpha s + (1 - alpha) g^2;  d = g / (sqrt(s - a^2) + eps), where a = alpha a + (1 - alpha) g
// if grad_avg is given (centered), else 0;  b = momentum b + d;  p -= lr b
struct RmspropStep {
  std::int64_t count;
  void* parameter;       // [count]
  const void* gradient;  // [count]
  void* square_avg;      // [count]
  void* momentum;        // [count]; may be null without momentum
  void* grad_avg;        // [count]; null: not centered
  const StepState* state;
  int group;
  DType dtype;
  RmspropOptions options = {};
  HalfCopy half = {};
};
CONVOY_KERNEL_OP(RmspropStep)

// One parameter's place in a flat range, in elements.
struct ParameterSlice {
  std::int64_t begin;
  std::int64_t count;
};

struct LarsOptions {
  double momentum = 0.9;
  double weight_decay = 0;
  double trust_coefficient = 0.001;
  double eps = 1e-8;
  bool nesterov = false;
};

// What ranks have summed of squares, each over its part of the parameters, in double precision.
// They are added in the order of the ranks.
struct SquaresOfRanks {
  const double* data = nullptr;  // [ranks, stride]: of slice s the parameter's at 2 s, and then the
                                 // raw gradient's
  std::int64_t ranks = 0;
  std::int64_t stride = 0;
};

// SGD whose gradient, weight decay included, is multiplied for each parameter by
// trust_coefficient |p| / (|g| + weight_decay |p| + eps), or by 1 where a norm is 0 or the group
// has no weight decay (You, Gitman, Ginsburg: arXiv:1708.03888; timm's form). Elements outside the
// slices are left alone. A slice may be part of a parameter: then `squares` has the norms.
struct LarsStep {
  const ParameterSlice* slices;  // [slice_count], device memory
  std::int64_t slice_count;
  void* parameter;
  const void* gradient;
  void* momentum;
  const StepState* state;
  int group;
  DType dtype;
  LarsOptions options = {};
  HalfCopy half = {};
  SquaresOfRanks squares = {};  // null: norms are those of the slices
};
CONVOY_KERNEL_OP(LarsStep)

// average = ema_decay average + (1 - ema_decay) parameter
struct EmaStep {
  std::int64_t count;
  void* average;          // [count]
  const void* parameter;  // [count]
  const StepState* state;
  DType dtype;
};
CONVOY_KERNEL_OP(EmaStep)

// gradient *= gradient_factor / loss_scale * clip_factor. The steps above do so on their way; this
// is for those who want to see the gradients.
struct ScaleGradients {
  std::int64_t count;
  void* gradient;  // [count]
  const StepState* state;
  DType dtype;
};
CONVOY_KERNEL_OP(ScaleGradients)

// Sets found_inf if an element is infinite or NaN, and lowers first_bad to the index of the first
// slice that has one; never clears them.
struct CheckFinite {
  std::int64_t count;
  const void* x;  // [count]
  StepState* state;
  DType dtype;
  const ParameterSlice* slices = nullptr;  // [slice_count], device memory, ascending; may be null
  std::int64_t slice_count = 0;
  std::int32_t first_parameter = 0;  // what the first slice counts as
};
CONVOY_KERNEL_OP(CheckFinite)

// y (+)= sum of squares, in double precision and in an order that depends on count alone.
struct SquaredNorm {
  std::int64_t count;
  const void* x;  // [count]
  double* y;      // one value
  DType dtype;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(SquaredNorm)

// From the squared norm of the raw gradients: gradient_norm = norm, taken after gradient_factor and
// loss_scale, and clip_factor = min(1, max_norm / (norm + 1e-6)), as PyTorch's clip_grad_norm_. A
// norm that is not finite sets found_inf.
struct ClipFactor {
  const double* squared_norm;  // [parts], to be added up in this order
  double max_norm;
  StepState* state;
  std::int64_t parts = 1;
};
CONVOY_KERNEL_OP(ClipFactor)

// What CheckFinite found on each of several ranks: found_inf where one did, and the lowest
// first_bad.
struct AgreeOnFinite {
  std::int64_t ranks;
  const std::int32_t* each;  // [ranks, 2]: found_inf, first_bad
  StepState* state;
};
CONVOY_KERNEL_OP(AgreeOnFinite)

}  // namespace convoy
