// SPDX-License-Identifier: MIT
#pragma once
// What a program's kernels ask of memory (counts.h), written at its end to the file that
// CONVOY_PTX_COUNTS names.

#include "tests/kernels/ptx/counts.h"

namespace convoy::ptx {

// Of a kernel that stays to the program's end; null where nothing is to be counted.
Counts* counts_of(const Kernel& kernel);

}  // namespace convoy::ptx
