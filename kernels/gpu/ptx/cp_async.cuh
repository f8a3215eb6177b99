// SPDX-License-Identifier: MIT
#pragma once
// Copies from global to shared memory that do not pass through registers (PTX ISA, cp.async). They
// belong to the thread that issues them: what they wrote is seen by it after its wait, and by
// others after a barrier that follows.
//
//   cp_async_if<16>(&s.tile[next][i], &x[...], inside(row, rows));   // zeros outside
//   cp_async_commit();
//   cp_async_wait<1>();      // all groups but the newest are there
//   __syncthreads();

#include <cstddef>
#include <cstdint>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// 4, 8 or 16 bytes, both addresses multiples of that. Only the first `source_bytes` are read; the
// others become zero. 16 bytes pass by the first-level cache.
template <int kBytes>
__device__ __forceinline__ void cp_async(void* to, const void* from, unsigned source_bytes = kBytes,
                                         Site site = Site::here()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  if constexpr (kSim) {
    sim::copy_async(to, from, kBytes, source_bytes, site);
  } else if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)),
                 "l"(from), "n"(kBytes), "r"(source_bytes)
                 : "memory");
  }
}

// All bytes where `is_inside`, or nothing but zeros: that costs a predicate, where a number of
// source bytes that the compiler does not see through costs five instructions.
template <int kBytes>
__device__ __forceinline__ void cp_async_if(void* to, const void* from, bool is_inside,
                                            Site site = Site::here()) {
  if constexpr (kSim) {
    sim::copy_async(to, from, kBytes, is_inside ? kBytes : 0, site);
  } else if constexpr (kBytes == 16) {
    asm volatile(
        "{\n"
        ".reg .pred is_outside;\n"
        "setp.eq.u32 is_outside, %2, 0;\n"
        "cp.async.cg.shared.global [%0], [%1], 16, is_outside;\n"
        "}" ::"r"(shared_address(to)),
        "l"(from), "r"(static_cast<unsigned>(is_inside))
        : "memory");
  } else {
    asm volatile(
        "{\n"
        ".reg .pred is_outside;\n"
        "setp.eq.u32 is_outside, %2, 0;\n"
        "cp.async.ca.shared.global [%0], [%1], %3, is_outside;\n"
        "}" ::"r"(shared_address(to)),
        "l"(from), "r"(static_cast<unsigned>(is_inside)), "n"(kBytes)
        : "memory");
  }
}

// The thread's copies since its last commit are a group, which may be empty.
__device__ __forceinline__ void cp_async_commit() {
  if constexpr (kSim) {
    sim::current_thread()->copies.commit();
  } else {
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
}

// Waits until all of the thread's groups but the newest kPending are complete.
template <int kPending>
__device__ __forceinline__ void cp_async_wait(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::wait_for_groups(&sim::Thread::copies, kPending, site);
  } else {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
  }
}

// Waits for all of the thread's copies, committed or not.
__device__ __forceinline__ void cp_async_wait_all(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::current_thread()->copies.commit();
    sim::wait_for_groups(&sim::Thread::copies, 0, site);
  } else {
    asm volatile("cp.async.wait_all;" ::: "memory");
  }
}

}  // namespace convoy::CONVOY_TARGET
