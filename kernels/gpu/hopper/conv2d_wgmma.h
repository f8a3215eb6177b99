// SPDX-License-Identifier: MIT
#pragma once
// What conv2d.cu needs of the rung wgmma, which is compiled for compute capability 9.0 alone.

#include "kernels/conv2d.h"
#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

// Of a convolution whose pixels count in int: whether its operands are what the copy engine takes.
// f16 or bf16, one group, channels and filters in runs of 16 bytes, padding, stride and dilation
// within the limits of its im2col mode; bias and residual in pairs. Nothing but the epilogue is
// fused.
// A strided convolution's gradient to the input does not fit.
bool conv2d_fits_wgmma(const Conv2dForward& op);
bool conv2d_fits_wgmma(const Conv2dBackwardInput& op);
bool conv2d_fits_wgmma(const Conv2dBackwardWeight& op);

// Whether there is a tile for each multiprocessor, and little of it is padding.
bool conv2d_fills_wgmma(const Conv2dForward& op, const Device& device);
bool conv2d_fills_wgmma(const Conv2dBackwardInput& op, const Device& device);
bool conv2d_fills_wgmma(const Conv2dBackwardWeight& op, const Device& device);

// With statistics: `totals` of so many bytes, as gemm_wgmma leaves them.
std::size_t conv2d_wgmma_workspace(const Conv2dForward& op);
void conv2d_wgmma(const Conv2dForward& op, float* totals, const Stream& stream);
void conv2d_wgmma(const Conv2dBackwardInput& op, const Stream& stream);

// The gradient of the weights as so many parts [parts, K, R, S, C] of f32, to be added. Of no
// images there are none.
int conv2d_wgmma_parts(const Conv2dGeometry& g, const Device& device);
void conv2d_wgmma(const Conv2dBackwardWeight& op, float* parts, const Stream& stream);

}  // namespace convoy::CONVOY_TARGET
