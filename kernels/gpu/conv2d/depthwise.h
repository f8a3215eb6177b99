// SPDX-License-Identifier: MIT
#pragma once
// What conv2d.cu needs of conv2d_depthwise.cu, a file of its own so that the two compile side by
// side.

#include "kernels/conv2d.h"
#include "kernels/gpu/conv2d/partials.cuh"

namespace convoy::CONVOY_TARGET {

// One channel per group, any number of filters each.
bool conv2d_fits_depthwise(const Conv2dGeometry& g);

Parts conv2d_depthwise_parts(const Conv2dGeometry& g);

void conv2d_depthwise(const Conv2dForward& op, void* workspace, const Stream& stream);
void conv2d_depthwise(const Conv2dBackwardInput& op, void* workspace, const Stream& stream);
// Leaves the sums of each part in the workspace, for add_parts: a kernel that is a template belongs
// to one file, as g++ lists the entries of __launch_bounds__ in one section of an object, which may
// not name what the linker drops for another object's sake.
void conv2d_depthwise(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream);

}  // namespace convoy::CONVOY_TARGET
