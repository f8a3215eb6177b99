// SPDX-License-Identifier: MIT
#pragma once
// The runtime's calls go to the calling thread's current device. Whoever makes one chooses it
// first, which costs nothing while it stays the same.

#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

void use_device(int index);  // throws Error where there is none

}  // namespace convoy::CONVOY_TARGET
