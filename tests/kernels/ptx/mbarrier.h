// SPDX-License-Identifier: MIT
#pragma once
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

// A copy by the tensor memory accelerator has brought so many bytes of those expected at an
// mbarrier.
void bytes_have_arrived(Warp&, Word address, std::size_t bytes, const Instruction&);

}  // namespace convoy::ptx
