// SPDX-License-Identifier: MIT
#pragma once
// Resizing of images [N, H, W, C] with PyTorch's coordinates (kernels/upsample.h).
//
//   Tensor y = upsample(x, {.scale_factor = {2, 2}});                       // nearest
//   Tensor z = upsample(x, {.size = {224, 224}, .mode = UpsampleMode::bilinear});

#include "kernels/upsample.h"
#include "runtime/tensor.h"

namespace convoy {

Tensor upsample(const Tensor& x, const UpsampleOptions& options);

}  // namespace convoy
