// SPDX-License-Identifier: MIT
#pragma once
// The copy engine (PTX ISA, cp.async.bulk.tensor and cp.async.bulk), from compute capability 9.0
// on. One thread moves a box of a tensor (kernels/gpu/tensor_map.h) to or from shared memory.
//
//   tma_load(s.a, map, s.full, {k, row});          // s.full then counts the box's bytes
//   tma_load_im2col(s.a, images, s.full, {c, w, h, n}, {s, r});
//   tma_store(map, s.out, {column, row});          // after fence_proxy_async() and a barrier
//   tma_store_commit();
//   tma_store_wait_read<0>();                      // s.out may be written again
//
// Coordinates are elements, innermost first, and may lie outside of the tensor: zeros are loaded,
// and count as bytes; nothing is stored. Boxes lie at multiples of 128 bytes, swizzled of 1024.
// A thread waits for the reads of its stores before it exits.

#include <cstdint>

#include "kernels/gpu/ptx/mbarrier.cuh"
#include "kernels/gpu/tensor_map.h"

namespace convoy::CONVOY_TARGET {

// Hides the latency of the map's first use.
__device__ __forceinline__ void tma_prefetch(const TensorMap& map) {
  if constexpr (!kSim && kArch >= 90) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
  }
}

// In a cluster, to this block.
template <int kRank>
__device__ __forceinline__ void tma_load(void* to, const TensorMap& map, Mbarrier& barrier,
                                         const int (&at)[kRank], Site site = Site::here()) {
  static_assert(kRank >= 1 && kRank <= 4);
  if constexpr (kSim) {
    sim::tma_load(map, at, to, &barrier, 1u << cluster_rank(), site);
  } else if constexpr (kArch >= 90) {
    const std::uint32_t target = shared_address(to), full = shared_address(&barrier);
    if constexpr (kRank == 1) {
      asm volatile(
          "cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          " [%0], [%1, {%3}], [%2];" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0])
          : "memory");
    } else if constexpr (kRank == 2) {
      asm volatile(
          "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          " [%0], [%1, {%3, %4}], [%2];" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0]), "r"(at[1])
          : "memory");
    } else if constexpr (kRank == 3) {
      asm volatile(
          "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          " [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0]), "r"(at[1]), "r"(at[2])
          : "memory");
    } else {
      asm volatile(
          "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
          : "memory");
    }
  }
}

// To the same place in each block of the cluster whose bit is in `blocks`, and on that block's own
// barrier of the same place.
template <int kRank>
__device__ __forceinline__ void tma_load_multicast(void* to, const TensorMap& map,
                                                   Mbarrier& barrier, const int (&at)[kRank],
                                                   std::uint16_t blocks, Site site = Site::here()) {
  static_assert(kRank == 2 || kRank == 4);
  if constexpr (kSim) {
    sim::tma_load(map, at, to, &barrier, blocks, site);
  } else if constexpr (kArch >= 90) {
    const std::uint32_t target = shared_address(to), full = shared_address(&barrier);
    if constexpr (kRank == 2) {
      asm volatile(
          "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0]), "r"(at[1]), "h"(blocks)
          : "memory");
    } else {
      asm volatile(
          "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
          ".multicast::cluster [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(target),
          "l"(&map), "r"(full), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "h"(blocks)
          : "memory");
    }
  }
}

// In im2col mode (kernels/gpu/tensor_map.h): pixels of a convolution's input, one a row. {C, W, H,
// N} is where the filter's first tap stands for the first of them; offsets of W and H lead to the
// tap that is loaded, for all of them. W and H lie in the pixel box; a tap may be in the padding
// and rows may be behind the last image: zeros.
__device__ __forceinline__ void tma_load_im2col(void* to, const TensorMap& map, Mbarrier& barrier,
                                                const int (&at)[4], const unsigned (&offset)[2],
                                                Site site = Site::here()) {
  if constexpr (kSim) {
    sim::tma_load_im2col(map, at, offset, to, &barrier, 1u << cluster_rank(), site);
  } else if constexpr (kArch >= 90) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
        " [%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared_address(to)),
        "l"(&map), "r"(shared_address(&barrier)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]),
        "h"(static_cast<std::uint16_t>(offset[0])), "h"(static_cast<std::uint16_t>(offset[1]))
        : "memory");
  }
}

// A run of bytes that needs no map: addresses and size are multiples of 16.
__device__ __forceinline__ void bulk_load(void* to, const void* from, unsigned bytes,
                                          Mbarrier& barrier, Site site = Site::here()) {
  if constexpr (kSim) {
    sim::bulk_load(to, from, bytes, &barrier, site);
  } else if constexpr (kArch >= 90) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
        " [%0], [%1], %2, [%3];" ::"r"(shared_address(to)),
        "l"(from), "r"(bytes), "r"(shared_address(&barrier))
        : "memory");
  }
}

template <int kRank>
__device__ __forceinline__ void tma_store(const TensorMap& map, const void* from,
                                          const int (&at)[kRank], Site site = Site::here()) {
  static_assert(kRank == 2 || kRank == 4);
  if constexpr (kSim) {
    sim::tma_store(map, at, from, site);
  } else if constexpr (kArch >= 90) {
    const std::uint32_t source = shared_address(from);
    if constexpr (kRank == 2) {
      asm volatile(
          "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group"
          " [%0, {%2, %3}], [%1];" ::"l"(&map),
          "r"(source), "r"(at[0]), "r"(at[1])
          : "memory");
    } else {
      asm volatile(
          "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group"
          " [%0, {%2, %3, %4, %5}], [%1];" ::"l"(&map),
          "r"(source), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
          : "memory");
    }
  }
}

// The thread's stores since its last commit are a group.
__device__ __forceinline__ void tma_store_commit() {
  if constexpr (kSim) {
    sim::bulk_commit();
  } else if constexpr (kArch >= 90) {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
  }
}

// Waits until all of the thread's groups but the newest kPending have read shared memory.
template <int kPending>
__device__ __forceinline__ void tma_store_wait_read(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::bulk_wait_read(kPending, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
  }
}

// Waits until they have also written global memory.
template <int kPending>
__device__ __forceinline__ void tma_store_wait(Site site = Site::here()) {
  if constexpr (kSim) {
    sim::bulk_wait(kPending, site);
  } else if constexpr (kArch >= 90) {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
  }
}

}  // namespace convoy::CONVOY_TARGET
