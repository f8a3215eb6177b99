// SPDX-License-Identifier: MIT
#pragma once
// Dropout without a stored mask: whether an element is kept is a function of (seed, stream,
// StepState::step, element), worked out again in the backward pass. With row > 1 consecutive
// elements share their fate: a row per sample is stochastic depth (drop path).
//
//   run(Dropout{n, x, y, key, state, 0.5, DType::f32}, {}, nullptr, stream);          // forward
//   run(Dropout{n, dy, dx, key, state, 0.5, DType::f32, 1, accumulate}, …);           // backward

#include "kernels/base.h"
#include "kernels/random.h"

namespace convoy {

// y (+)= kept ? x / (1 - p) : 0. A dropped NaN becomes 0. Element i is kept if the uniform number
// (kernels/random.h) of i / row is at least p: p = 0 keeps all, p = 1 drops all. The function is
// its own gradient: dx (+)= the same of dy.
struct Dropout {
  std::int64_t count;
  const void* x;  // [count]
  void* y;        // [count], may be x
  PhiloxKey key;
  const StepState* state;
  double p;
  DType dtype;
  std::int64_t row = 1;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(Dropout)
void require_valid(const Dropout& op);  // p in [0, 1] and row at least 1, else throws Error

}  // namespace convoy
