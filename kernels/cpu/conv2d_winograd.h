// SPDX-License-Identifier: MIT
#pragma once
// 3 x 3 convolutions of stride 1 by Winograd's F(2x2, 3x3), f32: fewer than half of the direct
// method's multiplications in all three passes. Rounding errors are a small multiple of the direct
// method's, because the transforms only add, subtract and halve.

#include "kernels/conv2d.h"

namespace convoy::on_cpu {

// 3 x 3, stride and dilation 1, one group, padding at most 2, channels in multiples of 16.
bool conv2d_winograd_fits(const Conv2dGeometry& g);

std::size_t conv2d_winograd_workspace(const Conv2dForward& op);
std::size_t conv2d_winograd_workspace(const Conv2dBackwardInput& op);
std::size_t conv2d_winograd_workspace(const Conv2dBackwardWeight& op);

void conv2d_winograd(const Conv2dForward& op, void* workspace);
void conv2d_winograd(const Conv2dBackwardInput& op, void* workspace);
void conv2d_winograd(const Conv2dBackwardWeight& op, void* workspace);  // dweight only

}  // namespace convoy::on_cpu
