// SPDX-License-Identifier: MIT
#pragma once
// The blocks of one launch shared out between two pieces of work, each in its own order and both
// spread evenly over the launch. Pieces that walk the same arrays thus read a value at about the
// same time: from memory once, for the other from the L2 cache.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct Turns {
  unsigned first, second;  // blocks of each

  Turns(unsigned of_first, unsigned of_second)
      : first(of_first), second(of_second), share_(share(of_first, of_second)) {}

  struct Turn {
    bool is_second;
    unsigned index;
  };
  // Of the blocks before `block` its share are the second's, rounded down.
  __device__ __forceinline__ Turn of(unsigned block) const {
    const unsigned seconds = before(block);
    const bool is_second = before(std::uint64_t{block} + 1) > seconds;
    return {is_second, is_second ? seconds : block - seconds};
  }

 private:
  std::uint64_t share_;  // of 2^32

  // Rounded up: of all blocks together it is less than one too much.
  static std::uint64_t share(unsigned first, unsigned second) {
    const std::uint64_t all = std::uint64_t{first} + second;
    return all == 0 ? 0 : ((std::uint64_t{second} << 32) + all - 1) / all;
  }
  __device__ __forceinline__ unsigned before(std::uint64_t block) const {
    return static_cast<unsigned>(block * share_ >> 32);
  }
};

}  // namespace convoy::CONVOY_TARGET
