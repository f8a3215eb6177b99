// SPDX-License-Identifier: MIT
#pragma once
// What warps do, instruction by instruction, and what they ask of memory: turns of the banks of
// shared memory, sectors of global memory. Not counted: what the tensor memory accelerator copies
// and what wgmma reads.

#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

// Of warps at one instruction, or of a whole kernel.
struct Tally {
  std::uint64_t times = 0;  // that a warp did it
  // Shared memory has 32 banks of 4 bytes. A warp's access is served 128 bytes at a time: 32 lanes
  // of up to 4 bytes, 16 of 8, 8 of 16, or a matrix of ldmatrix. Each such part takes as many turns
  // as there are different words in its busiest bank, and one at least.
  std::uint64_t parts = 0, turns = 0;
  // Sectors are 32 bytes of global memory; the least are those of as many bytes side by side.
  std::uint64_t sectors = 0, least_sectors = 0;

  Tally& operator+=(const Tally& other);
};

// Of an instruction that these lanes are about to run.
Tally tally_of(Warp& w, const Instruction& i, std::uint32_t lanes);

class Counts {
 public:
  explicit Counts(const Kernel& kernel) : kernel_(kernel), at_(kernel.code.size()) {}
  void add_launch() { ++launches_; }
  void add(const Instruction& i, const Tally& tally);

  Tally total() const;
  // Lines of text: the whole and its launches, then the instructions of which something could be
  // saved, the worst first, at most so many.
  std::string report(std::size_t most = 8) const;

 private:
  const Kernel& kernel_;
  std::vector<Tally> at_;  // of each instruction
  std::uint64_t launches_ = 0;
};

}  // namespace convoy::ptx
