// SPDX-License-Identifier: MIT
#pragma once
// Plans and runs a kernel op on the cpu, with a workspace of exactly the size it asked for, full
// of NaN, so that a byte too many or one read before it was written shows.
//
//   run_kernel(SoftmaxForward{.rows = 3, .classes = 5, ...});

#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>

#include "kernels/base.h"

namespace convoy::testing {

template <class Op>
void run_kernel(const Op& op) {
  const Plan p = plan(op, Device{});
  void* memory = nullptr;
  if (p.workspace_bytes > 0) {
    require(posix_memalign(&memory, 64, p.workspace_bytes) == 0, "run_kernel: no memory");
    std::memset(memory, 0xff, p.workspace_bytes);
  }
  const std::unique_ptr<void, decltype(&std::free)> workspace(memory, &std::free);
  run(op, p, memory, Stream{});
}

template <class T>
inline constexpr DType dtype_of = std::is_same_v<T, double>         ? DType::f64
                                  : std::is_same_v<T, float>        ? DType::f32
                                  : std::is_same_v<T, std::int32_t> ? DType::i32
                                  : std::is_same_v<T, std::int64_t> ? DType::i64
                                                                    : DType::u8;

}  // namespace convoy::testing
