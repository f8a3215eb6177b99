// SPDX-License-Identifier: MIT
#pragma once
// Places on the host of what lanes address. A global address is the host's own; a shared address
// has the block's rank in the cluster in its bits 24 and up; a generic one has a bit for the space.

#include <cstddef>
#include <cstdint>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

constexpr Word kSharedWindow = Word{1} << 60, kLocalWindow = Word{2} << 60;
constexpr int kRankShift = 24;
constexpr Word kOffsetMask = (Word{1} << kRankShift) - 1;
constexpr std::size_t kFirstShared = 1024;  // bytes that a GPU of 9.0 keeps for itself

inline Word rank_of(Word shared) { return (shared & 0xffffffff) >> kRankShift; }
inline Word shared_of(Word rank, Word offset) { return rank << kRankShift | offset; }

// The device's memory: what lies elsewhere is not for kernels.
void add_memory(const void* place, std::size_t bytes);
void remove_memory(const void* place);

// Each throws a Fault for what is outside.
std::uint8_t* shared_place(Warp&, Word address, std::size_t bytes, const Instruction&);
std::uint8_t* global_place(Word address, std::size_t bytes, const Instruction&);
std::uint8_t* generic_place(Warp&, int lane, Word address, std::size_t bytes, const Instruction&);

// The space that an opcode names.
Space space_of(const std::vector<std::string_view>& opcode);
// At a multiple of the bytes, or a Fault.
std::uint8_t* place(Warp&, int lane, Space, Word address, std::size_t bytes, const Instruction&);

}  // namespace convoy::ptx
