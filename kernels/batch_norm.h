// SPDX-License-Identifier: MIT
#pragma once
// Batch normalisation over [rows, channels] (NHWC flattened), with the residual addition and the
// ReLU that follow it in a ResNet fused in (Ioffe and Szegedy, arXiv:1502.03167; PyTorch's rules):
//
//   y = act(scale * (x - mean) * rstd + bias + residual),   rstd = 1 / sqrt(var + eps)
//
// Training takes mean and the biased variance of the batch, and moves the running estimates by
// running += momentum * (batch - running), with the unbiased variance. Inference takes the running
// estimates. Sums are exact to about one rounding whatever the mean: see cpu/batch_norm.cpp. Means,
// variances and rstd, running ones too, have the statistics_dtype of `dtype`. A value that is not
// finite makes its channel NaN, and no other.

#include "kernels/base.h"

namespace convoy {

// Training with rows == 1 throws Error: the variance of one value is nothing to divide by.
struct BatchNormForward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;         // [rows, channels]
  const void* residual = nullptr;  // [rows, channels], may be null
  const void* scale = nullptr;     // [channels], null: 1
  const void* bias = nullptr;      // [channels], null: 0
  void* running_mean = nullptr;    // [channels]; training: updated, may be null; inference: read
  void* running_var = nullptr;     // [channels], likewise
  void* mean = nullptr;            // [channels] out, for the gradient; inference: may be null
  void* rstd = nullptr;            // [channels] out, likewise
  void* y = nullptr;               // [rows, channels]; may be x or residual
  double momentum = 0.1;
  double eps = 1e-5;
  bool training = true;
  bool relu = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(BatchNormForward)
void require_statistics(const BatchNormForward& op);  // throws that Error, or one if none are given

// With relu the gradient passes where the output was above zero. That is read from y if y is given
// (it must be, where there was a residual), else recomputed from x, which saves a pass over y.
struct BatchNormBackward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;      // [rows, channels]
  const void* y = nullptr;      // [rows, channels], may be null
  const void* dy = nullptr;     // [rows, channels]
  const void* scale = nullptr;  // [channels], null: 1
  const void* bias = nullptr;   // [channels], null: 0
  const void* mean = nullptr;   // [channels], as the forward wrote them
  const void* rstd = nullptr;   // [channels]
  void* dx = nullptr;           // [rows, channels], each of the four may be null
  void* d_residual = nullptr;   // [rows, channels]
  void* d_scale = nullptr;      // [channels]
  void* d_bias = nullptr;       // [channels]
  bool accumulate = false;      // into dx
  bool accumulate_residual = false;
  bool accumulate_scale = false;
  bool accumulate_bias = false;
  bool training = true;  // false: mean and rstd were constants
  bool relu = false;
  DType dtype = DType::f32;
  std::optional<DType> grad_dtype = {};  // of d_scale and d_bias; may be f32 where dtype is half
};
CONVOY_KERNEL_OP(BatchNormBackward)

}  // namespace convoy
