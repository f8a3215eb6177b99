// SPDX-License-Identifier: MIT
#pragma once
// Programmatic dependent launch (PTX ISA, griddepcontrol): a kernel launched with
// .programmatic = true starts while the stream's previous one still runs.
//
//   previous_kernel_wait();      // before the first access to what that kernel wrote
//   next_kernel_may_start();     // in the previous one: no earlier write of ours is seen by it yet
//
// Every kernel of ours begins with begin_kernel(), whether or not it is launched so: one that did
// not wait could end before its predecessor, and its successor would wait for it alone.
//
// On the simulator kernels run one after another; the access checker asks for the wait.

#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

__device__ __forceinline__ void previous_kernel_wait() {
  if constexpr (kSim) sim::await_previous_kernel();
  if constexpr (!kSim && kArch >= 90) asm volatile("griddepcontrol.wait;" ::: "memory");
}
__device__ __forceinline__ void next_kernel_may_start() {
  if constexpr (!kSim && kArch >= 90) {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  }
}

// The next kernel's blocks take the places that ours leave, and wait there.
__device__ __forceinline__ void begin_kernel() {
  next_kernel_may_start();
  previous_kernel_wait();
}

}  // namespace convoy::CONVOY_TARGET
