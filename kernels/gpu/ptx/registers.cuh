// SPDX-License-Identifier: MIT
#pragma once
// Registers change hands between the warpgroups of a block (PTX ISA, setmaxnreg; sm_90a). The
// kernel has __launch_bounds__(threads, 1), and starts with 64K / threads of them per thread, a
// multiple of 8. Producers give most of theirs to consumers:
//
//   if (producer) { release_registers<24>(); ... } else { acquire_registers<240>(); ... }

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// 24 to 256 per thread, a multiple of 8. All four warps of a warpgroup.
template <int kCount>
__device__ __forceinline__ void release_registers(Site site = Site::here()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  if constexpr (kSim) {
    sim::set_registers(kCount, false, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
  }
}

// Waits until they are there.
template <int kCount>
__device__ __forceinline__ void acquire_registers(Site site = Site::here()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  if constexpr (kSim) {
    sim::set_registers(kCount, true, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
  }
}

}  // namespace convoy::CONVOY_TARGET
