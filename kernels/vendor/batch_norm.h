// SPDX-License-Identifier: MIT
#pragma once
// batch_norm by cuDNN's norm operations: training, with the residual and the ReLU behind the
// forward pass. The ReLU's mask in the gradient, accumulation, parts of the operands that are null
// and inference are ours alone, and an op with one of them has no variant here.

#include <string_view>
#include <vector>

#include "kernels/batch_norm.h"

namespace convoy::vendor {

// As for conv2d (kernels/vendor/conv2d.h).
std::vector<const char*> variants(const BatchNormForward& op, const Device& device,
                                  std::size_t limit);
std::vector<const char*> variants(const BatchNormBackward& op, const Device& device,
                                  std::size_t limit);

Plan plan(const BatchNormForward& op, const Device& device, std::string_view variant);
Plan plan(const BatchNormBackward& op, const Device& device, std::string_view variant);

void run(const BatchNormForward& op, const Plan& plan, void* workspace, const Stream& stream);
void run(const BatchNormBackward& op, const Plan& plan, void* workspace, const Stream& stream);

}  // namespace convoy::vendor
