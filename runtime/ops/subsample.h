// SPDX-License-Identifier: MIT
#pragma once
// The shortcut without parameters of a ResNet for CIFAR ("option A": He et al., arXiv:1512.03385,
// section 4.2): fewer pixels, and channels of zeros on both sides of the others.
//
//   Tensor shortcut = subsample_pad(x, 2, 8);      // PyTorch: F.pad(x[:, :, ::2, ::2], (…, 8, 8))

#include "runtime/tensor.h"

namespace convoy {

// x [N, H, W, C]; result [N, ceil(H / stride), ceil(W / stride), C + 2 padding], its pixel (p, q)
// x's (stride p, stride q). Throws Error unless stride >= 1 and padding >= 0.
Tensor subsample_pad(const Tensor& x, std::int64_t stride, std::int64_t padding);

}  // namespace convoy
