// SPDX-License-Identifier: MIT
#pragma once
// Matrix products on the tape. Transposed and sliced operands are read in place, without a copy.
//
//   Tensor scores = matmul(q, transpose(k, -2, -1));     // [B, M, D] x [B, D, N]
//   Tensor y = linear(x, weight, bias);                  // y = x weight^T + bias

#include "runtime/tensor.h"

namespace convoy {

// [M, K] x [K, N]; [B, M, K] x [B, K, N]; or [B, M, K] x [K, N]. Throws Error with both shapes when
// they do not fit.
Tensor matmul(const Tensor& a, const Tensor& b);

// x [..., in], weight [out, in], bias [out] or undefined; result [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace convoy
