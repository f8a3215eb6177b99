// SPDX-License-Identifier: MIT
#pragma once
// Layer normalisation: each row of [rows, channels] by its own mean and biased variance (Ba, Kiros
// and Hinton, arXiv:1607.06450).
//
//   y = scale * (x - mean) * rstd + bias,   rstd = 1 / sqrt(var + eps)
//
// mean and rstd have the statistics_dtype of `dtype`. A value that is not finite makes its row NaN.

#include "kernels/base.h"

namespace convoy {

struct LayerNormForward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;      // [rows, channels]
  const void* scale = nullptr;  // [channels], null: 1
  const void* bias = nullptr;   // [channels], null: 0
  void* mean = nullptr;         // [rows] out, for the gradient
  void* rstd = nullptr;         // [rows] out, likewise
  void* y = nullptr;            // [rows, channels]; may be x
  double eps = 1e-5;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(LayerNormForward)

struct LayerNormBackward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;      // [rows, channels]
  const void* dy = nullptr;     // [rows, channels]
  const void* scale = nullptr;  // [channels], null: 1
  const void* mean = nullptr;   // [rows], as the forward wrote them
  const void* rstd = nullptr;   // [rows]
  void* dx = nullptr;           // [rows, channels], each of the three may be null
  void* d_scale = nullptr;      // [channels]
  void* d_bias = nullptr;       // [channels]
  bool accumulate = false;      // into dx
  bool accumulate_scale = false;
  bool accumulate_bias = false;
  DType dtype = DType::f32;
  std::optional<DType> grad_dtype = {};  // of d_scale and d_bias; may be f32 where dtype is half
};
CONVOY_KERNEL_OP(LayerNormBackward)

}  // namespace convoy
