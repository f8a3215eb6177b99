// SPDX-License-Identifier: MIT
#pragma once
// Shared memory that work of the async proxy (a TMA store, wgmma) reads, in units of 16 bytes.
// Hardware reads it some time between issue and completion. Here the units are taken from the async
// view at the issue, where they must be what the threads see: otherwise a fence.proxy.async is
// missing. At completion they must still be the same: otherwise somebody did not wait.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/sim/async.h"

namespace convoy::sim {

struct Block;

class AsyncSource {
 public:
  static constexpr std::size_t kUnit = 16;

  explicit AsyncSource(Block& block);  // the issuer's
  // The unit at this offset of shared memory; pointers last until the next call.
  const std::byte* take(std::size_t offset, const char* what, const Site& site);
  const std::byte* unit(std::size_t i) const { return &bytes_[i * kUnit]; }
  void check_unchanged(const AsyncWork& work) const;

 private:
  Block* block_;
  std::vector<std::uint32_t> offsets_;
  std::vector<std::byte> bytes_;
};

}  // namespace convoy::sim
