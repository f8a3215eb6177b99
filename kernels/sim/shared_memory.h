// SPDX-License-Identifier: MIT
#pragma once
// A block's shared memory: an arena of exactly the launch's size, aligned to 1024 bytes, full of
// NaN at the block's start, with guard zones that are checked at its end.

#include <cstddef>
#include <cstdint>

#include "kernels/sim/site.h"

namespace convoy::sim {

struct Block;

// What Hopper gives a block; CUDA C++ Programming Guide, table of technical specifications.
inline constexpr std::size_t kMaxSharedBytes = 227 << 10;
// Addresses of shared memory start here, and each block of a cluster has a window of its own.
inline constexpr std::uint32_t kSharedBase = 1024;
inline constexpr std::uint32_t kSharedWindow = 1u << 24;

// Bytes before and behind it that nobody may write.
inline constexpr std::size_t kSharedGuard = 1024;

void open_shared_memory(Block& block, std::size_t bytes);
void close_shared_memory(Block& block) noexcept;

// Shared memory as the async proxy sees it: TMA and wgmma read this second copy. TMA loads write
// both; what threads store gets there by fence.proxy.async only. It is made when it is first used.
std::byte* async_view(Block& block);
// What is stored so far is in the view before the next work of the async proxy is issued.
void fence_proxy_async(const Site& site);
void publish_fenced(Block& block);
// Throws where the guard zones were written: a kernel stored outside of its Storage.
void check_guards(const Block& block);

// The 32-bit address of a place in the shared memory of the caller's cluster, and the way back;
// both fault where there is none.
std::uint32_t shared_address(const void* place, const Site& site);
std::byte* shared_place(std::uint32_t address, std::size_t bytes, const Site& site);
// The block of the caller's cluster that holds the address.
Block& block_of(std::uint32_t address, const Site& site);

}  // namespace convoy::sim
