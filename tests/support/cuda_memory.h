// SPDX-License-Identifier: MIT
#pragma once
// Device memory for tests on a GPU: unwritten memory is NaN, and each allocation stands between two
// fences that are looked at when it is freed. Failed calls throw Error.

#include <cstddef>

namespace convoy::testing {

struct CudaMemory {
  static void* allocate(std::size_t bytes);
  static void release(void* memory);
  static void copy_in(void* to, const void* from, std::size_t bytes);
  static void copy_out(void* to, const void* from, std::size_t bytes);
  static void synchronize();
};

}  // namespace convoy::testing
