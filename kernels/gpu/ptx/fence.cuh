// SPDX-License-Identifier: MIT
#pragma once
// Fences between ordinary accesses and those of the copy engine and the tensor cores (PTX ISA,
// membar and fence).

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// What this thread stored to shared memory is seen by TMA stores and wgmma that are issued later;
// by those of another thread after a barrier that follows. Each thread that stored calls it.
__device__ __forceinline__ void fence_proxy_async(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::fence_proxy_async(site);
  } else if constexpr (kArch >= 90) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
}

// Barriers that this thread initialised are seen by the copy engine and by the cluster, after a
// barrier that follows.
__device__ __forceinline__ void fence_mbarrier_init() {
  if constexpr (!kSim && kArch >= 90) {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
}

}  // namespace convoy::CONVOY_TARGET
