// SPDX-License-Identifier: MIT
#pragma once
// What the makers of problems share: from an op struct for each set of operands to a launch by
// variant.

#include <map>
#include <memory>
#include <string>

#include "apps/kbench/problem.h"
#include "apps/kbench/timing.h"
#include "kernels/gpu/variants.h"
#include "kernels/tuning.h"
#include "runtime/allocator.h"

namespace convoy::kbench {

// Sets of operands so large together that a set has left the caches when its turn comes again.
inline int sets_beyond_cache(const Device& device, std::size_t bytes_per_set) {
  if (device.type == DeviceType::sim) return 1;
  const std::size_t beyond = beyond_cache(device);
  const std::size_t sets = 1 + (beyond + bytes_per_set - 1) / (bytes_per_set + 1);
  return static_cast<int>(sets < 64 ? sets : 64);
}

template <class MakeOp>
void prepare(Problem& problem, const Device& device, MakeOp make_op) {
  const auto memory = problem.memory;
  memory->allocate(problem.memory_bound ? sets_beyond_cache(device, memory->bytes_per_set()) : 1);
  problem.cold =
      static_cast<std::size_t>(memory->sets()) * memory->bytes_per_set() >= beyond_cache(device);
  // An op with one way to do it has no name for it.
  const auto named = [](const char* variant) { return *variant == '\0' ? "plan" : variant; };
  for (const char* variant : variants(make_op(0), device)) {
    problem.variants.push_back(named(variant));
  }
  problem.chosen = named(plan(make_op(0), device).variant);
  if constexpr (requires { tuning_key(make_op(0)); }) problem.key = tuning_key(make_op(0));
  // Planned once: what is measured is the kernel.
  struct Ready {
    Plan plan;
    Workspace workspace;
  };
  const auto ready = std::make_shared<std::map<std::string, std::unique_ptr<Ready>>>();
  problem.launch = [device, make_op, ready](const std::string& variant, int set) {
    const auto op = make_op(set);
    auto& how = (*ready)[variant];
    if (!how) {
      const Plan plan = plan_variant(op, device, variant);
      how.reset(new Ready{plan, Workspace(device, plan.workspace_bytes)});
    }
    run(op, how->plan, how->workspace.data(), current_stream(device));
  };
}

// `make_op(set)` is the op on that set's operands.
template <class MakeOp>
void bind(Problem& problem, const Device& device, MakeOp make_op) {
  problem.prepare = [device, make_op](Problem& described) { prepare(described, device, make_op); };
}

}  // namespace convoy::kbench
