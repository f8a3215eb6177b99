// SPDX-License-Identifier: MIT
#pragma once
// Barriers in shared memory that count arrivals and bytes (PTX ISA, mbarrier), from compute
// capability 9.0 on. kernels/sim/mbarrier.h says what one is.
//
//   if (threadIdx.x == 0) { mbarrier_init(s.full, 1); fence_mbarrier_init(); }
//   __syncthreads();
//   if (producer) { mbarrier_arrive_expect(s.full, bytes); tma_load(...s.full...); }
//   mbarrier_wait(s.full, parity);       // 0 for the first phase, then 1, 0, 1 ...
//
// A wait returns at once for the phase before the current one: a fresh barrier lets a thread that
// waits for parity 1 pass, so a producer's first wait for an empty slot says 1.

#include <cstdint>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct alignas(8) Mbarrier {
  std::uint64_t state;
};

// Each phase ends with so many arrivals.
__device__ __forceinline__ void mbarrier_init(Mbarrier& barrier, unsigned arrivals,
                                              Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_init(&barrier, arrivals, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
                 "r"(arrivals)
                 : "memory");
  }
}

// Before its memory serves anything else.
__device__ __forceinline__ void mbarrier_invalidate(Mbarrier& barrier, Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_invalidate(&barrier, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(&barrier)) : "memory");
  }
}

__device__ __forceinline__ void mbarrier_arrive(Mbarrier& barrier, Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_arrive(&barrier, 0, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier))
                 : "memory");
  }
}

// The phase also waits for so many bytes, of copies that name this barrier; then arrives.
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier& barrier, unsigned bytes,
                                                       Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_arrive(&barrier, bytes, site);
  } else if constexpr (kArch >= 90) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
        "r"(bytes)
        : "memory");
  }
}

// The same without an arrival.
__device__ __forceinline__ void mbarrier_expect(Mbarrier& barrier, unsigned bytes,
                                                Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_expect(&barrier, bytes, site);
  } else if constexpr (kArch >= 90) {
    asm volatile(
        "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
        "r"(bytes)
        : "memory");
  }
}

// Where this barrier's namesake in block `rank` of the cluster is, in the shared window of all.
__device__ __forceinline__ std::uint32_t mbarrier_of_rank(const Mbarrier& barrier, unsigned rank,
                                                          Site site = Site::here()) {
  if constexpr (kSim) {
    return sim::map_to_rank(&barrier, rank, site);
  } else if constexpr (kArch >= 90) {
    std::uint32_t address;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(address)
                 : "r"(shared_address(&barrier)), "r"(rank));
    return address;
  }
  return 0;
}

// Arrives there; the block must not have exited.
__device__ __forceinline__ void mbarrier_arrive_remote(std::uint32_t address,
                                                       Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_arrive_remote(address, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(address)
                 : "memory");
  }
}

// Waits for the end of the phase of this parity. What was done before the arrivals, and what the
// copies wrote, is then seen.
__device__ __forceinline__ void mbarrier_wait(const Mbarrier& barrier, unsigned parity,
                                              Site site = Site::here()) {
  if constexpr (kSim) {
    sim::mbarrier_wait(&barrier, parity, site);
  } else if constexpr (kArch >= 90) {
    const std::uint32_t address = shared_address(&barrier);
    unsigned ended;
    do {  // try_wait sleeps for a while itself
      asm volatile(
          "{\n"
          ".reg .pred ended;\n"
          "mbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\n"
          "selp.u32 %0, 1, 0, ended;\n"
          "}"
          : "=r"(ended)
          : "r"(address), "r"(parity)
          : "memory");
    } while (ended == 0);
  }
}

}  // namespace convoy::CONVOY_TARGET
