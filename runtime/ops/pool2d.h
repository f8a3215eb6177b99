// SPDX-License-Identifier: MIT
#pragma once
// Pooling of images [N, H, W, C], with PyTorch's output sizes and conventions (kernels/pool2d.h).
//
//   Tensor y = max_pool2d(x, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
//   Tensor features = global_avg_pool(y);   // [N, C]

#include "kernels/pool2d.h"
#include "runtime/tensor.h"

namespace convoy {

// [N, P, Q, C]. Of equal maxima the first in the window takes the gradient; NaN is the largest.
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options);
// [N, P, Q, C]. Throws Error for a dilation other than 1.
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options);
// [N, P, Q, C] for output_size {P, Q}: bin p spans floor(p H / P) to ceil((p + 1) H / P).
Tensor adaptive_avg_pool2d(const Tensor& x, const PoolSize& output_size);
// [N, C]: the mean over all pixels.
Tensor global_avg_pool(const Tensor& x);

}  // namespace convoy
