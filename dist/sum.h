// SPDX-License-Identifier: MIT
#pragma once
// The sum of several ranges, element by element, in the order in which they are given.

#include <cstdint>
#include <span>

#include "kernels/base.h"

namespace convoy::dist {

// out[i] = ((sources[0][i] + sources[1][i]) + …), in f32 for f16 and bf16, rounded once; i64 wraps.
// `out` may be one of the sources. Expects f32, f16, bf16 or i64.
void sum_in_order(DType dtype, std::span<const void* const> sources, void* out, std::int64_t count);

}  // namespace convoy::dist
