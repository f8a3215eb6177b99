// SPDX-License-Identifier: MIT
#pragma once
// gemm by cuBLASLt: the variants that take an op, the plan of one, and its launch. Where the
// library or an algorithm for the op is missing there are none. f32 is computed in f32, not in
// TF32; halves are summed in f32 and rounded once.

#include <string_view>
#include <vector>

#include "kernels/gemm.h"

namespace convoy::vendor {

// The device is the one in use by the calling thread. No more than `limit` are
// listed. Found once for a device and operands of the same shape, strides, dtypes and alignment.
std::vector<const char*> variants(const Gemm& op, const Device& device, std::size_t limit);
// `variant` is one of them.
Plan plan(const Gemm& op, const Device& device, std::string_view variant);
void run(const Gemm& op, const Plan& plan, void* workspace, const Stream& stream);

}  // namespace convoy::vendor
