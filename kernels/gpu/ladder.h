// SPDX-License-Identifier: MIT
#pragma once
// The rungs of an op's ladder by name. plan() takes the one that suits the shape; tests and
// benchmarks take each:
//
//   for (const char* rung : on_sim::rungs(op)) run(op, on_sim::plan_rung(op, device, rung), ...);

#include <string_view>
#include <vector>

#include "kernels/base.h"

namespace convoy {

// Throws an Error: "gemm: variant expects naive or shared_tile, found register_tile".
[[noreturn]] void unknown_rung(const char* op, std::string_view variant, const char* expected);

// Throws an Error: a fused convolution needs a rung that counts in int.
[[noreturn]] void too_large_to_fuse(const char* op);

// Throws an Error: no rung takes statistics of this product.
[[noreturn]] void no_statistics(const char* op);

// Declares, for cpu and both targets of the hand-written kernels: the names of the rungs that take
// the op, simplest first, and the plan that runs one of them.
#define CONVOY_LADDER(Op)                                                       \
  namespace on_cpu {                                                            \
  std::vector<const char*> rungs(const Op& op);                                 \
  Plan plan_rung(const Op& op, const Device& device, std::string_view variant); \
  }                                                                             \
  namespace on_sim {                                                            \
  std::vector<const char*> rungs(const Op& op);                                 \
  Plan plan_rung(const Op& op, const Device& device, std::string_view variant); \
  }                                                                             \
  namespace on_cuda {                                                           \
  std::vector<const char*> rungs(const Op& op);                                 \
  Plan plan_rung(const Op& op, const Device& device, std::string_view variant); \
  }

}  // namespace convoy
