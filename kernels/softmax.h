// SPDX-License-Identifier: MIT
#pragma once
// Softmax and its logarithm over the last dimension of [rows, classes].
//
//   softmax      y = exp(x - max) / sum exp(x - max)         dx = y * (dy - sum(dy * y))
//   log_softmax  y = x - max - log(sum exp(x - max))         dx = dy - exp(y) * sum(dy)
//
// The backward needs y only. A row whose logits are all -inf has no answer: it gives NaN,
// and so does a row with +inf or NaN.

#include "kernels/base.h"

namespace convoy {

struct SoftmaxForward {
  std::int64_t rows = 0, classes = 0;
  const void* x = nullptr;  // [rows, classes]
  void* y = nullptr;        // [rows, classes]; may be x
  bool log = false;         // log_softmax
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(SoftmaxForward)

struct SoftmaxBackward {
  std::int64_t rows = 0, classes = 0;
  const void* y = nullptr;   // [rows, classes], as the forward wrote it
  const void* dy = nullptr;  // [rows, classes]
  void* dx = nullptr;        // [rows, classes]
  bool accumulate = false;
  bool log = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(SoftmaxBackward)

}  // namespace convoy
