// SPDX-License-Identifier: MIT
#pragma once
// Every op that has a ladder, and its rungs on whichever device: what benchmarks and tests choose
// variants by.
//
//   for (const char* variant : variants(op, device)) run(op, plan_variant(op, device, variant), …);

#include <type_traits>

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/gpu/ladder.h"

namespace convoy {

CONVOY_LADDER(Gemm)
CONVOY_LADDER(Conv2dForward)
CONVOY_LADDER(Conv2dBackwardInput)
CONVOY_LADDER(Conv2dBackwardWeight)
CONVOY_LADDER(Conv2dBackward)
CONVOY_LADDER(BatchNormForward)
CONVOY_LADDER(BatchNormBackward)

template <class Op>
concept HasLadder = requires(const Op& op) {
  on_sim::rungs(op);
};
// Of the others cpu has one variant; it runs the two gradients of a convolution one after the
// other.
template <class Op>
concept HasCpuLadder = std::is_same_v<Op, Gemm> || std::is_same_v<Op, Conv2dForward> ||
    std::is_same_v<Op, Conv2dBackwardInput> || std::is_same_v<Op, Conv2dBackwardWeight>;

// The variants that take the op on the device, simplest first; where there is no ladder, plan's.
template <class Op>
std::vector<const char*> variants(const Op& op, const Device& device) {
  if constexpr (HasCpuLadder<Op>) {
    if (device.type == DeviceType::cpu) return on_cpu::rungs(op);
  }
  if constexpr (HasLadder<Op>) {
    if constexpr (kHasSim) {
      if (device.type == DeviceType::sim) return on_sim::rungs(op);
    }
    if constexpr (kHasCuda) {
      if (device.type == DeviceType::cuda) return on_cuda::rungs(op);
    }
  }
  return {plan(op, device).variant};
}

// The plan that runs one of them.
template <class Op>
Plan plan_variant(const Op& op, const Device& device, std::string_view variant) {
  if constexpr (HasCpuLadder<Op>) {
    if (device.type == DeviceType::cpu) return on_cpu::plan_rung(op, device, variant);
  }
  if constexpr (HasLadder<Op>) {
    if constexpr (kHasSim) {
      if (device.type == DeviceType::sim) return on_sim::plan_rung(op, device, variant);
    }
    if constexpr (kHasCuda) {
      if (device.type == DeviceType::cuda) return on_cuda::plan_rung(op, device, variant);
    }
  }
  return plan(op, device);
}

}  // namespace convoy
