// SPDX-License-Identifier: MIT
#pragma once
// The convolution's three passes through oneDNN, f32. Activations stay NHWC: in oneDNN 2.6 its
// AVX-512 kernels are as quick on NHWC as on their own blocked layouts, so no activation is ever
// reordered. Filters are: KRSC is copied to the layout a primitive wants, in the workspace.

#include <optional>

#include "kernels/conv2d.h"

namespace convoy::on_cpu {

enum class Conv2dPass : std::uint8_t { forward, backward_input, backward_weight };

// The workspace in bytes, or nothing where oneDNN has only its reference loops for the geometry.
std::optional<std::size_t> conv2d_onednn_workspace(const Conv2dGeometry& g, Conv2dPass pass,
                                                   bool bias, bool accumulate);

void conv2d_onednn(const Conv2dForward& op, void* workspace);
void conv2d_onednn(const Conv2dBackwardInput& op, void* workspace);
void conv2d_onednn(const Conv2dBackwardWeight& op, void* workspace);  // dweight only

}  // namespace convoy::on_cpu
