// SPDX-License-Identifier: MIT
#pragma once
// Programmatic dependent launch (PTX ISA, griddepcontrol): a kernel launched with
// .programmatic = true starts while the stream's previous one still runs.
//
//   previous_kernel_wait();      // before the first access to what that kernel wrote
//   next_kernel_may_start();     // in the previous one: no earlier write of ours is seen by it yet
//
// On the simulator kernels run one after another, and both say nothing.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

__device__ __forceinline__ void previous_kernel_wait() {
  if constexpr (!kSim && kArch >= 90) asm volatile("griddepcontrol.wait;" ::: "memory");
}
__device__ __forceinline__ void next_kernel_may_start() {
  if constexpr (!kSim && kArch >= 90) {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  }
}

}  // namespace convoy::CONVOY_TARGET
