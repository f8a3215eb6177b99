// SPDX-License-Identifier: MIT
#pragma once
// The parts of a batch norm that a fused convolution leaves to be done: the lines that turn its raw
// output into what the next one reads, the pass that applies them where nobody does so on load, and
// their gradients. kernels/prologue.h tells the whole story; kernels/batch_norm.h the formulas.

#include "kernels/base.h"
#include "kernels/prologue.h"

namespace convoy {

// From a batch's statistics to lines, and to the running estimates: running += momentum *
// (batch - running), with the unbiased variance.
struct NormLinesFromBatch {
  std::int64_t rows, channels;  // more than one row
  const float* mean;            // [channels]
  const float* var;             // [channels], biased
  const void* scale;            // [channels] of dtype, null: 1
  const void* bias;             // [channels] of dtype, null: 0
  float* running_mean;          // [channels], may be null
  float* running_var;           // [channels], may be null
  NormLine* lines;              // [channels]
  double momentum, eps;
  DType dtype;
};
CONVOY_KERNEL_OP(NormLinesFromBatch)

// y = act(norm(x) + residual), where the residual may itself be the raw output of a convolution
// with a norm.
struct NormAct {
  std::int64_t rows, channels;
  const void* x;                   // [rows, channels]
  const NormLine* lines;           // [channels]
  const void* residual;            // [rows, channels], may be null
  const NormLine* residual_lines;  // [channels], null: the residual as it is
  void* y;                         // [rows, channels]; may be x or residual
  bool relu;
  DType dtype;
};
CONVOY_KERNEL_OP(NormAct)

// GradientEpilogue where no convolution did it: g = dy where y is above 0 or a NaN, and the sums.
struct NormActBackward {
  std::int64_t rows, channels;
  const void* dy;         // [rows, channels]
  const void* x;          // [rows, channels], what NormAct read
  const NormLine* lines;  // [channels]
  const void* y;          // [rows, channels]; null: computed again, where there was no residual
  void* g;                // [rows, channels]; may be dy; null: not wanted
  float* sums;            // [2, channels]: of g, of g * (x - mean)
  bool relu;
  DType dtype;
};
CONVOY_KERNEL_OP(NormActBackward)

// From the sums to the gradients of scale and bias, and to the lines that GradientPrologue reads.
struct NormGradientLines {
  std::int64_t rows, channels;
  const NormLine* lines;  // [channels]
  const float* sum;       // [channels], of g
  const float* dot;       // [channels], of g * (x - mean)
  void* d_scale;          // [channels] of grad_dtype, may be null
  void* d_bias;           // [channels] of grad_dtype, may be null
  NormGradientLine* out;  // [channels]
  bool accumulate_scale, accumulate_bias;
  DType grad_dtype;
};
CONVOY_KERNEL_OP(NormGradientLines)

}  // namespace convoy
