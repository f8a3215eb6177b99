// SPDX-License-Identifier: MIT
#pragma once
// The tensor cores of Hopper (PTX ISA, wgmma.mma_async; sm_90a): four warps of consecutive number
// from a multiple of four on issue d += a b together, and go on. a is 64x16, b 16xN, of F16 or
// BF16; both lie in shared memory behind descriptors, or a in registers. d is f32.
//
//   wgmma_fence(d);                                      // d, and a in registers, are ready
//   wgmma<F16, 128>(d, descriptor_a, descriptor_b, k > 0);
//   wgmma_commit();
//   wgmma_wait<0>(d);                                    // until then d is not to be touched
//
// Warp w holds rows 16 w to 16 w + 15 of d. With g = lane / 4 and t = lane % 4, d[i] is row
// g + 8 (i / 2 % 2), column 8 (i / 4) + 2 t + i % 2; a's registers are those of mma.cuh.
//
// Shared memory that threads stored themselves needs fence_proxy_async() and a barrier before.

#include <cstdint>

#include "kernels/gpu/gpu.cuh"
#include "kernels/gpu/major.h"
#include "kernels/gpu/ptx/wgmma_asm.cuh"
#include "kernels/gpu/tensor_map.h"

namespace convoy::CONVOY_TARGET {

// Bits of a matrix descriptor. Offsets in bytes, multiples of 16, in units of 8x8 elements:
//                    leading                              stride
//   k, none          to the next 8 of k                   to the next 8 of m or n
//   k, 128 bytes     not used                             to the next 8 of m or n
//   mn, none         to the next 8 of k                   to the next 8 of m or n
//   mn, 128 bytes    to the next 64 of m or n             to the next 8 of k
constexpr std::uint64_t descriptor_bits(std::uint32_t address, unsigned leading, unsigned stride,
                                        Swizzle swizzle) {
  const auto field = [](std::uint32_t bytes) { return std::uint64_t{(bytes & 0x3ffffu) >> 4}; };
  return field(address) | field(leading) << 16 | field(stride) << 32 |
         std::uint64_t{swizzle == Swizzle::bytes128} << 62;
}

// A swizzled matrix as TMA writes it, in boxes of 64 elements (128 bytes) by `rows`: rows of m or
// n with k inside, or of k with m or n inside.
template <Major kMajor>
__device__ __forceinline__ std::uint64_t swizzled_descriptor(const void* matrix,
                                                             unsigned rows = 64) {
  return descriptor_bits(shared_address(matrix), kMajor == Major::k ? 16 : 128 * rows, 1024,
                         Swizzle::bytes128);
}
// How far the next 16 of k are in it, to be added to the descriptor: 32 bytes within a row, or 16
// rows.
template <Major kMajor>
inline constexpr std::uint64_t kNextK16 = (kMajor == Major::k ? 32 : 16 * 128) >> 4;

// Keeps the compiler from moving uses of registers across this place.
template <class Register, int kCount>
__device__ __forceinline__ void pin(Register (&registers)[kCount]) {
  if constexpr (!kSim && std::is_same_v<Register, float>) {
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(registers[i])::"memory");
  } else if constexpr (!kSim) {
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(registers[i])::"memory");
  }
}

template <class T, int kN, Major kMajorA = Major::k, Major kMajorB = Major::k>
__device__ __forceinline__ void wgmma(float (&d)[kN / 2], std::uint64_t a, std::uint64_t b,
                                      bool accumulate, Site site = Site::here()) {
  static_assert(std::is_same_v<T, F16> || std::is_same_v<T, BF16>);
  if constexpr (kSim) {
    sim::wgmma({.d = d,
                .a_registers = nullptr,
                .a = a,
                .b = b,
                .accumulate = accumulate,
                .a_is_m_major = kMajorA == Major::mn,
                .b_is_n_major = kMajorB == Major::mn,
                .bf16 = std::is_same_v<T, BF16>,
                .n = kN},
               site);
  } else if constexpr (kArch >= 90) {
#define CONVOY_CASE(n, r, t0, t1, t2, t3, t4, ...)        \
  if constexpr (kN == n && std::is_same_v<T, F16>)        \
    CONVOY_WGMMA_SHARED(n, r, "f16", t0, t1, t2, t3, t4); \
  if constexpr (kN == n && std::is_same_v<T, BF16>)       \
    CONVOY_WGMMA_SHARED(n, r, "bf16", t0, t1, t2, t3, t4);
    CONVOY_WGMMA_SHAPES(CONVOY_CASE)
#undef CONVOY_CASE
  }
}

// With a in registers.
template <class T, int kN, Major kMajorB = Major::k>
__device__ __forceinline__ void wgmma(float (&d)[kN / 2], const unsigned (&a)[4], std::uint64_t b,
                                      bool accumulate, Site site = Site::here()) {
  static_assert(std::is_same_v<T, F16> || std::is_same_v<T, BF16>);
  if constexpr (kSim) {
    sim::wgmma({.d = d,
                .a_registers = a,
                .a = 0,
                .b = b,
                .accumulate = accumulate,
                .a_is_m_major = false,
                .b_is_n_major = kMajorB == Major::mn,
                .bf16 = std::is_same_v<T, BF16>,
                .n = kN},
               site);
  } else if constexpr (kArch >= 90) {
#define CONVOY_CASE(n, r, t0, t1, t2, t3, t4, t5, t6)                \
  if constexpr (kN == n && std::is_same_v<T, F16>)                   \
    CONVOY_WGMMA_REGISTERS(n, r, "f16", t0, t1, t2, t3, t4, t5, t6); \
  if constexpr (kN == n && std::is_same_v<T, BF16>)                  \
    CONVOY_WGMMA_REGISTERS(n, r, "bf16", t0, t1, t2, t3, t4, t5, t6);
    CONVOY_WGMMA_SHAPES(CONVOY_CASE)
#undef CONVOY_CASE
  }
}

// Before the first wgmma on accumulators that are not in flight, and after registers of `a` were
// written.
__device__ __forceinline__ void wgmma_fence(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::wgmma_fence(site);
  } else if constexpr (kArch >= 90) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
}
template <int kCount>
__device__ __forceinline__ void wgmma_fence(float (&d)[kCount], Site site = Site::here()) {
  pin(d);
  CONVOY_TARGET::wgmma_fence(site);
}

// What was issued since the last commit is a group.
__device__ __forceinline__ void wgmma_commit() {
  if constexpr (kSim) {
    sim::wgmma_commit();
  } else if constexpr (kArch >= 90) {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }
}

// Waits for all groups but the newest kPending. Shared memory that they read may be overwritten.
template <int kPending>
__device__ __forceinline__ void wgmma_wait(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::wgmma_wait(kPending, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  }
}
// The accumulators of those groups may be used from here on.
template <int kPending, int kCount>
__device__ __forceinline__ void wgmma_wait(float (&d)[kCount], Site site = Site::here()) {
  wgmma_wait<kPending>(site);
  pin(d);
}

}  // namespace convoy::CONVOY_TARGET
