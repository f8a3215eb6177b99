// SPDX-License-Identifier: MIT
#pragma once
// The blocks of one launch shared out between two pieces of work, each in its own order and both
// spread evenly over the launch. Pieces that walk the same arrays thus read a value at about the
// same time: from memory once, for the other from the L2 cache.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct Turns {
  unsigned first, second;  // blocks of each

  struct Turn {
    bool is_second;
    unsigned index;
  };
  // Of the blocks before `block` its share are the second's, rounded down.
  __device__ __forceinline__ Turn of(unsigned block) const {
    const std::uint64_t all = std::uint64_t{first} + second;
    const auto seconds = static_cast<unsigned>(std::uint64_t{block} * second / all);
    const bool is_second = (std::uint64_t{block} + 1) * second / all > seconds;
    return {is_second, is_second ? seconds : block - seconds};
  }
};

}  // namespace convoy::CONVOY_TARGET
