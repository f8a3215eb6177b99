// SPDX-License-Identifier: MIT
#pragma once
// What every op by cuDNN does alike: engines found once for ops that are alike, a plan that points
// to one of them, and its launch.

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/require.h"
#include "kernels/tuning.h"
#include "kernels/vendor/graphs.h"
#include "kernels/vendor/names.h"

namespace convoy::vendor {

inline constexpr std::size_t kWorkspaceAlignment = 256;

// Engines for ops of one key, never destroyed: plans point to them. Engines may be built by several
// threads, one at a time.
struct Planned {
  std::mutex mutex;
  std::unique_ptr<EnginePlans> engines;
};

// The key of the tuning table, and what is an engine's business alone: device and alignment.
template <class Op>
std::string engine_key(const Op& op, const Device& device) {
  std::string key = tuning_key(op) + " device " + std::to_string(device.index) + " alignment";
  for (const Operand& o : operands_of(op)) key += ' ' + std::to_string(alignment_of(o.place));
  return key;
}

template <class Op>
Planned& planned(const Cudnn& library, const Op& op, const Device& device) {
  static std::mutex mutex;
  static auto& all = *new std::map<std::string, std::unique_ptr<Planned>>();
  const std::lock_guard lock(mutex);
  std::unique_ptr<Planned>& found = all[engine_key(op, device)];
  if (found == nullptr) {
    auto made = std::make_unique<Planned>();
    made->engines = std::make_unique<EnginePlans>(
        graph_of(library, op), Target{cudnn_handle(library, device), nullptr}, rules_for(op.dtype));
    found = std::move(made);
  }
  return *found;
}

template <class Op>
std::vector<const char*> cudnn_variants(const Op& op, const Device& device, std::size_t limit) {
  if (!suits(op) || limit == 0) return {};
  const Cudnn* library = open_cudnn(device);
  if (library == nullptr) return {};
  Planned& found = planned(*library, op, device);
  const std::lock_guard lock(found.mutex);
  const auto count = static_cast<std::ptrdiff_t>(found.engines->count(limit));
  return {kNames.begin(), kNames.begin() + count};
}

template <class Op>
Plan cudnn_plan(const char* name, const Op& op, const Device& device, std::string_view variant) {
  const Cudnn* library = open_cudnn(device);
  const std::size_t index = index_of(variant);
  const EnginePlan* engine = nullptr;
  if (library != nullptr && suits(op) && index < kNames.size()) {
    Planned& found = planned(*library, op, device);
    const std::lock_guard lock(found.mutex);
    engine = found.engines->get(index);
  }
  require(engine != nullptr, "{}: variant expects one that cuDNN has for the op, found {}", name,
          variant);
  const std::size_t bytes = engine->workspace_bytes();
  return {.variant = kNames[index],
          .workspace_bytes = bytes == 0 ? 0 : bytes + kWorkspaceAlignment,
          .state = engine};
}

template <class Op>
void cudnn_run(const Op& op, const Plan& plan, void* workspace, const Stream& stream) {
  const Cudnn& library = *cudnn();
  const cudnnHandle_t handle = cudnn_handle(library, stream.device);
  check(library, library.cudnnSetStream(handle, static_cast<cudaStream_t>(stream.handle)),
        "choosing a stream");
  const auto address = reinterpret_cast<std::uintptr_t>(workspace);
  const auto aligned = (address + kWorkspaceAlignment - 1) / kWorkspaceAlignment;
  static_cast<const EnginePlan*>(plan.state)
      ->execute(handle, operands_of(op), reinterpret_cast<void*>(aligned * kWorkspaceAlignment));
}

}  // namespace convoy::vendor
