// SPDX-License-Identifier: MIT
#pragma once
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

// Those that nobody has waited for.
void finish_stores(Warp& warp);

}  // namespace convoy::ptx
