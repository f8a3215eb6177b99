// SPDX-License-Identifier: MIT
#pragma once
// 2-D convolution of NHWC images with KRSC filters, differentiable in all three operands.
//
//   Tensor y = conv2d(x, weight, bias, {.stride = {2, 2}, .padding = {1, 1}});

#include "kernels/conv2d_geometry.h"
#include "runtime/tensor.h"

namespace convoy {

// x [N, H, W, C], weight [K, R, S, C / groups], bias [K] or undefined; result [N, P, Q, K].
// Throws Error with both shapes when they do not fit (kernels/conv2d_geometry.h).
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {});

}  // namespace convoy
