// SPDX-License-Identifier: MIT
#pragma once
// conv2d by cuDNN: the variants that take a pass, the plan of one, and its launch. NHWC and KRSC
// are strides to the library. Bias, residual and ReLU are fused; prologues, statistics, gradient
// epilogues and the bias' gradient are ours alone, and an op with one of them has no variant here.

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/conv2d.h"

namespace convoy::vendor {

// The device is the one in use by the calling thread. No more than `limit` are
// looked for. Found once for a device, geometry, dtypes and alignment.
std::vector<const char*> variants(const Conv2dForward& op, const Device& device, std::size_t limit);
std::vector<const char*> variants(const Conv2dBackwardInput& op, const Device& device,
                                  std::size_t limit);
std::vector<const char*> variants(const Conv2dBackwardWeight& op, const Device& device,
                                  std::size_t limit);

Plan plan(const Conv2dForward& op, const Device& device, std::string_view variant);
Plan plan(const Conv2dBackwardInput& op, const Device& device, std::string_view variant);
Plan plan(const Conv2dBackwardWeight& op, const Device& device, std::string_view variant);

void run(const Conv2dForward& op, const Plan& plan, void* workspace, const Stream& stream);
void run(const Conv2dBackwardInput& op, const Plan& plan, void* workspace, const Stream& stream);
void run(const Conv2dBackwardWeight& op, const Plan& plan, void* workspace, const Stream& stream);

}  // namespace convoy::vendor
