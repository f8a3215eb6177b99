// SPDX-License-Identifier: MIT
#pragma once
// What the copy engine does (PTX ISA, cp.async.bulk and cp.async.bulk.tensor): boxes of a tensor
// between global and shared memory. Elements outside of the tensor are zeros on the way in, and
// not written on the way out. A load's bytes complete on an mbarrier in each block that it writes.

#include <cstdint>
#include <span>

#include "kernels/sim/site.h"
#include "kernels/sim/tensor_map.h"

namespace convoy::sim {

// Into the same place of every block of the cluster in `mask`, and on the same place's mbarrier.
void tma_load(const TensorMap& map, std::span<const int> at, void* to, void* barrier,
              std::uint32_t mask, const Site& site);
// In im2col mode: from the place (C, W, H, N) of the first tap on, moved to another
// tap by offsets of W and H.
void tma_load_im2col(const TensorMap& map, std::span<const int> at,
                     std::span<const unsigned> offset, void* to, void* barrier, std::uint32_t mask,
                     const Site& site);
void tma_store(const TensorMap& map, std::span<const int> at, const void* from, const Site& site);
// A run of bytes, a multiple of 16.
void bulk_load(void* to, const void* from, std::uint32_t bytes, void* barrier, const Site& site);

// The caller's stores since its last commit are a group.
void bulk_commit();
// Waits for all groups but the newest `keep`: until they have read shared memory, or until they
// have written.
void bulk_wait_read(std::uint32_t keep, const Site& site);
void bulk_wait(std::uint32_t keep, const Site& site);

}  // namespace convoy::sim
