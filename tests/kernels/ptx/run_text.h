// SPDX-License-Identifier: MIT
#pragma once
// Runs a few lines of PTX on the machine.

#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/ptx/counts.h"
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

struct How {
  Dim3 grid = {}, block = {32, 1, 1};
  unsigned cluster = 1;
  bool resident = false;
  std::size_t dynamic_shared = 1024;  // bytes, called `dynamic`
  Tally* total = nullptr;             // of what is counted
};

// Each thread's result: what the lines leave in %rd0. They find the number of the thread in %r0 (in
// the grid, blocks one behind the other) and in %r1 (in its block), of the block in %r2; free are
// %p0 to %p7, %rs0 to %rs7, %r3 to %r31, %rd2 to %rd15, %f0 to %f15 and %fd0 to %fd15.
std::vector<std::uint64_t> run_lines(const std::string& lines, const How& how = {});

}  // namespace convoy::ptx
