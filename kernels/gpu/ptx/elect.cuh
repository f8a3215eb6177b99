// SPDX-License-Identifier: MIT
#pragma once
// One lane of a warp for all (PTX ISA, elect.sync), from compute capability 9.0 on.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// True in one lane. All lanes of the warp call. The compiler then knows that the branch is one
// thread's, which `lane == 0` does not tell it.
__device__ __forceinline__ bool elect_one(Site site = Site::here()) {
  if constexpr (kSim) {
    bool elected = false;
    sim::collective(sim::lanes(~0u), "elect", site, elected, [](auto lanes) { *lanes[0] = true; });
    return elected;
  } else if constexpr (kArch >= 90) {
    unsigned elected;
    asm volatile(
        "{\n"
        ".reg .pred elected;\n"
        "elect.sync _|elected, 0xffffffff;\n"
        "selp.u32 %0, 1, 0, elected;\n"
        "}"
        : "=r"(elected)::"memory");
    return elected != 0;
  }
  return threadIdx.x % 32 == 0;
}

}  // namespace convoy::CONVOY_TARGET
