// SPDX-License-Identifier: MIT
#pragma once
// The filters' gradient of depthwise convolutions, f32: one filter of R x S taps a channel. oneDNN
// 2.6 has a quick kernel for 3 x 3 and falls back to one ten times slower for larger filters.

#include "kernels/conv2d.h"

namespace convoy::on_cpu {

// As many filters as channels, in multiples of 16; rows of 5 or 7 taps.
bool conv2d_depthwise_fits(const Conv2dBackwardWeight& op);
std::size_t conv2d_depthwise_workspace(const Conv2dBackwardWeight& op);
void conv2d_depthwise(const Conv2dBackwardWeight& op, void* workspace);

}  // namespace convoy::on_cpu
