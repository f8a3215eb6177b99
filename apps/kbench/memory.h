// SPDX-License-Identifier: MIT
#pragma once
// What the makers of memory-bound problems are given: how many elements, of which dtype, where.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/kbench/problem.h"

namespace convoy::kbench {

struct MemorySetting {
  Request request;
  std::int64_t count;
  DType dtype() const { return request.dtype; }
  Problem problem(const char* pass, std::vector<std::pair<std::string, std::int64_t>> sizes) const {
    return {.op = "memory",
            .pass = pass,
            .name = pass,
            .sizes = std::move(sizes),
            .dtype = request.dtype,
            .memory_bound = true,
            .memory = std::make_shared<Operands>(request.device)};
  }
};

// Those of memory_optimizers.cpp; the others stand in memory.cpp.
Problem sgd_problem(const MemorySetting& s);
Problem adamw_problem(const MemorySetting& s);

}  // namespace convoy::kbench
