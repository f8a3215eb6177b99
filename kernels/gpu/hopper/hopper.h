// SPDX-License-Identifier: MIT
#pragma once
// Whether this folder's kernels run here.

#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

// A machine's devices are taken to be alike.
inline bool has_hopper() { return compute_capability({.type = DeviceType::cuda}) == 90; }

}  // namespace convoy::CONVOY_TARGET
