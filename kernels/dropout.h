// SPDX-License-Identifier: MIT
#pragma once
// Dropout without a stored mask: whether an element is kept is a function of (seed, stream,
// StepState::step, element), worked out again in the backward pass. With row > 1 consecutive
// elements share their fate: a row per sample is stochastic depth (drop path).
//
//   run(Dropout{n, x, y, key, state, 0.5, DType::f32}, {}, nullptr, stream);          // forward
//   run(Dropout{n, dy, dx, key, state, 0.5, DType::f32, 1, 0, accumulate}, …);        // backward

#include "kernels/base.h"
#include "kernels/random.h"

namespace convoy {

// y (+)= kept ? x / (1 - p) : 0. A dropped NaN becomes 0. Element i is kept if the uniform number
// (kernels/random.h) of (first + i) / row is at least p: p = 0 keeps all, p = 1 drops all. So parts
// of an array, each with the number of its first element, keep what the whole would. The function
// is its own gradient: dx (+)= the same of dy.
struct Dropout {
  std::int64_t count;
  const void* x;  // [count]
  void* y;        // [count], may be x
  PhiloxKey key;
  const StepState* state;
  double p;
  DType dtype;
  std::int64_t row = 1;
  std::int64_t first = 0;  // a multiple of row
  bool accumulate = false;
};
CONVOY_KERNEL_OP(Dropout)
// Throws Error unless p is in [0, 1], row at least 1, and first one of its multiples from 0 on.
void require_valid(const Dropout& op);

}  // namespace convoy
