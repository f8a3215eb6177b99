// SPDX-License-Identifier: MIT
#pragma once
// What is remembered of each place in memory: its last write, and the reads and atomics since then
// that nobody has written over (FastTrack, Flanagan and Freund 2009). A cell stands for 4 bytes;
// one that was ever touched in part has four, one a byte, so that neighbours never meet.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/sim/access.h"

namespace convoy::sim::access {

inline constexpr std::size_t kCellBytes = 4;
inline constexpr unsigned kClockBits = 21;

// One access: by whom, at which point of its time, where in the code (symbols.h).
struct Epoch {
  std::uint32_t block = 0;  // 0: none
  std::uint32_t who = 0;    // slot and clock
  std::uint32_t where = 0;

  std::uint32_t slot() const { return who >> kClockBits; }
  std::uint32_t clock() const { return who & ((1u << kClockBits) - 1); }
};
inline std::uint32_t who_of(const Actor& actor) { return actor.slot << kClockBits | actor.now; }

// What stands beside the last plain write: reads, and atomics of both sorts.
enum class ReaderKind : std::uint8_t { plain, atomic_read, atomic_write };

struct Cell {
  Epoch write;
  Epoch read;                           // or, with many, `block` is the number of a Readers
  std::uint8_t written = 0, valid = 0;  // a bit a byte: has a value; lies in an allocation
  ReaderKind read_kind = ReaderKind::plain;
  bool many : 1 = false, recycled : 1 = false;
  std::uint32_t split = 0;  // number of the four cells of its bytes
};
static_assert(sizeof(Cell) == 32);

// Reads by lanes of one warp: their earliest clock, so that no error is invented.
struct Reader {
  std::uint32_t block = 0;
  std::uint32_t lanes = 0;
  std::uint32_t warp_and_clock = 0;  // as in Epoch::who, of lane 0
  std::uint32_t where_and_kind = 0;  // the kind in the two highest bits

  Epoch epoch(unsigned lane) const {
    return {block, warp_and_clock + (lane << kClockBits), where_and_kind & 0x3fffffff};
  }
  std::uint32_t clock() const { return warp_and_clock & ((1u << kClockBits) - 1); }
  ReaderKind kind() const { return static_cast<ReaderKind>(where_and_kind >> 30); }
};

// When more warps read than it holds, the newest take the place of older ones: a race with one of
// those is missed.
struct Readers {
  static constexpr unsigned kCapacity = 8;
  std::array<Reader, kCapacity> all;
  std::uint32_t count = 0, turn = 0;
};

// Numbered objects that are used again.
template <class T>
class Pool {
 public:
  std::uint32_t take() {
    if (free_.empty()) {
      if (count_ % kChunk == 0) chunks_.push_back(std::make_unique<T[]>(kChunk));
      return ++count_;
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  void give(std::uint32_t number) {
    (*this)[number] = {};
    free_.push_back(number);
  }
  T& operator[](std::uint32_t number) {
    return chunks_[(number - 1) / kChunk][(number - 1) % kChunk];
  }

 private:
  static constexpr std::uint32_t kChunk = 1024;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t count_ = 0;  // numbers start at 1
};

using Split = std::array<Cell, kCellBytes>;
extern Pool<Readers> readers;
extern Pool<Split> splits;

void clear(Cell& cell);
void clear(Cell* first, std::size_t cells);
// The cell's bytes from now on have histories of their own.
Split& split(Cell& cell);

// The shared memory of a block that is alive.
struct BlockShadow {
  Block* block = nullptr;
  const char* begin = nullptr;
  std::size_t bytes = 0;
  std::vector<Cell> cells;
};

// Cells of the simulated GPU's memory.
class DeviceShadow {
 public:
  DeviceShadow();
  bool contains(const void* address) const {
    return static_cast<std::size_t>(static_cast<const char*>(address) - begin_) < size_;
  }
  Cell* cell(const void* address) const {
    return cells_ +
           static_cast<std::size_t>(static_cast<const char*>(address) - begin_) / kCellBytes;
  }

 private:
  const char* begin_;
  std::size_t size_;
  Cell* cells_;
};
DeviceShadow& device_shadow();

}  // namespace convoy::sim::access
