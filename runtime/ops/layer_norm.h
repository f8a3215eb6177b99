// SPDX-License-Identifier: MIT
#pragma once
// Layer normalisation over the last dimension (kernels/layer_norm.h).
//
//   Tensor y = layer_norm(x, scale, bias);   // x [..., C], scale and bias [C] or undefined

#include "runtime/tensor.h"

namespace convoy {

Tensor layer_norm(const Tensor& x, const Tensor& scale = {}, const Tensor& bias = {},
                  double eps = 1e-5);

}  // namespace convoy
