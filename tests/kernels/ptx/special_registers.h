// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

// Of a thread of the block. Throws a Fault where the machine has none of that name.
Word special_register(const std::string& name, const Block& block, unsigned thread);

}  // namespace convoy::ptx
