// SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace convoy::ptx {

// The PTX in what nvcc puts into a program, for the newest architecture up to `arch` (90 for 9.0).
// Empty: it has none. `binary`: what __cudaRegisterFatBinary is given. Throws std::runtime_error.
std::string ptx_of(const void* binary, int arch);

}  // namespace convoy::ptx
