// SPDX-License-Identifier: MIT
#pragma once
// One access: is it inside, has what it reads a value (detector.cpp), and does it come after every
// access that it conflicts with (conflict.cpp)?

#include <cstddef>
#include <cstdint>

#include "kernels/sim/access/shadow.h"

namespace convoy::sim::access {

enum class Kind : std::uint8_t { read, write, atomic_read, atomic_write, atomic_update };
inline bool reads(Kind kind) { return kind != Kind::write && kind != Kind::atomic_write; }

inline bool writes(Kind kind) { return kind != Kind::read && kind != Kind::atomic_read; }

struct Access {
  const Actor& actor;
  const char* address;
  std::size_t bytes;
  Kind kind;
  std::uint32_t where;
  bool from_hook = false;  // the compiler does not expect it to throw
  bool recycles = false;   // the allocator takes the memory back
};

// Who runs; null: nobody who is watched.
extern constinit thread_local Actor* running;

// Returns where all is well; otherwise report.h has the last word.
void check(const Access& access);
// Only the order, of bytes [first, last) of memory that has its cells here.
void check_order(Cell* cells, std::size_t first, std::size_t last, const Access& access);

// Shared memory of the blocks that are alive.
BlockShadow& open_block(Block& block);
void close_all_blocks();

}  // namespace convoy::sim::access
