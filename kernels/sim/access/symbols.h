// SPDX-License-Identifier: MIT
#pragma once
// Places in code as 30 bits, and what they are called. Names are looked up for errors only, by
// addr2line.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/sim/site.h"

namespace convoy::sim::access {

// Of an instruction of this program, or of a site that was told.
std::uint32_t where_of(const void* instruction);
std::uint32_t where_of(const Site& site);

// "kernels/gpu/gemm.cu:41"; where a helper of kernels/gpu is inlined, "kernels/gpu/gpu.cuh:91,
// called at kernels/gpu/gemm.cu:41". The simulator's own headers and the standard library's are
// left out. `callers` are return addresses, the innermost first, which continue it.
std::string line_of(std::uint32_t where, const std::vector<const void*>& callers = {});
// Whether its line is one of kernels/gpu or of a test.
bool is_kernel_code(std::uint32_t where);
// "fill_each<float>".
std::string function_name(const void* function);

}  // namespace convoy::sim::access
