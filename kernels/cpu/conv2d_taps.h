// SPDX-License-Identifier: MIT
#pragma once
// Convolutions of small images in batches, f32: the deep layers of a network, with any kernel up to
// 8 x 8, stride, padding and dilation. Filters are read once, in place, which matters where they
// weigh more than the images.

#include "kernels/conv2d.h"

namespace convoy::on_cpu {

// Channels in multiples of 16, one group, and enough of images and filters for each thread.
bool conv2d_taps_fits(const Conv2dForward& op);
bool conv2d_taps_fits(const Conv2dBackwardInput& op);
bool conv2d_taps_fits(const Conv2dBackwardWeight& op);

std::size_t conv2d_taps_workspace(const Conv2dForward& op);
std::size_t conv2d_taps_workspace(const Conv2dBackwardInput& op);
std::size_t conv2d_taps_workspace(const Conv2dBackwardWeight& op);

void conv2d_taps(const Conv2dForward& op, void* workspace);
void conv2d_taps(const Conv2dBackwardInput& op, void* workspace);
void conv2d_taps(const Conv2dBackwardWeight& op, void* workspace);  // dweight only

}  // namespace convoy::on_cpu
