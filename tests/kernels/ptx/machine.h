// SPDX-License-Identifier: MIT
#pragma once
// What runs PTX: warps of 32 lanes, in blocks, in clusters, with their registers and shared memory.
// Lanes that stand at the same instruction run it together; the group that is furthest behind runs
// first, so that lanes meet again where their paths do. What is asynchronous happens as late as the
// language allows: when it is waited for.

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/kernels/ptx/program.h"

namespace convoy::ptx {

using Word = std::uint64_t;  // a lane's register

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void fail(const std::string& what, const Instruction& at);

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

class Counts;

struct Launch {
  const Kernel* kernel = nullptr;
  Dim3 grid, block;
  std::size_t dynamic_shared = 0;            // bytes
  unsigned cluster = 1;                      // blocks, along x
  bool resident = false;                     // all blocks at once
  const std::uint8_t* parameters = nullptr;  // at a multiple of 64
  Counts* counts = nullptr;                  // null: nothing is counted
};

// Runs the kernel to its end. Throws a Fault.
void run(const Launch& launch);

// Lanes that stand together.
struct Group {
  std::uint32_t lanes = 0;
  int at = 0;
  bool parked = false;  // not to be run again in this turn
  int barrier = -1;     // where they have arrived, and wait until its phase is another
  std::uint64_t phase = 0;
};

// A lane's cp.async.
struct Copy {
  std::uint8_t* to;
  const std::uint8_t* from;
  std::uint8_t size, read;  // bytes; zeros behind those read
};

// What was begun, in groups; the last is open.
template <class Work>
using Groups = std::deque<std::vector<Work>>;
using Work = std::function<void()>;

struct Block;

struct Warp {
  Block* block = nullptr;
  const Kernel* kernel = nullptr;
  unsigned index = 0;      // in the block
  std::uint32_t live = 0;  // lanes that have not ended
  std::vector<Word> registers;
  std::vector<std::uint8_t> local;  // the lanes' one behind the other
  std::vector<Group> groups;
  int current = 0;
  bool gives_way = false;  // ends its turn: it asks again and again for what others do
  std::array<std::uint64_t, 32> cluster_phase{};
  std::array<Groups<Copy>, 32> copies;
  std::array<Groups<Work>, 32> stores;
  Groups<Work> products{1};  // wgmma

  Word* r(int slot) { return registers.data() + static_cast<std::size_t>(slot) * 32; }
  Group& group() { return groups[static_cast<std::size_t>(current)]; }
};

struct Barrier {
  std::uint64_t phase = 0;
  unsigned arrived = 0;
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  Barrier barrier;
  std::vector<Work> loads;  // by the tensor memory accelerator
};

struct Block {
  Cluster* cluster = nullptr;
  const Launch* launch = nullptr;
  unsigned rank = 0;  // in the cluster
  Dim3 at;
  unsigned threads = 0, ended = 0;
  std::vector<std::uint8_t> memory;
  std::uint8_t* shared = nullptr;  // at a multiple of 1024
  std::size_t shared_bytes = 0;
  std::array<Barrier, 16> barriers;
  std::vector<std::unique_ptr<Warp>> warps;
};

template <class Body>
inline void for_lanes(std::uint32_t lanes, Body body) {
  if (lanes == ~0U) {
    for (int lane = 0; lane < 32; ++lane) body(lane);
  } else {
    for (; lanes != 0; lanes &= lanes - 1) body(std::countr_zero(lanes));
  }
}

inline unsigned count_of(std::uint32_t lanes) {
  return static_cast<unsigned>(std::popcount(lanes));
}

// An operand that the lanes have in common, as the first has it.
inline Word common(Warp& w, const Instruction& i, std::size_t operand, std::uint32_t lanes) {
  return w.r(i.operands[operand])[std::countr_zero(lanes)];
}

}  // namespace convoy::ptx
