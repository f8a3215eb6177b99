// SPDX-License-Identifier: MIT
#pragma once
// What the caching allocator hands out (runtime/allocator.h).

#include <cstddef>
#include <cstdint>

#include "runtime/segments.h"

namespace convoy {

using PoolId = std::uint32_t;  // 0: everyone's

struct Block {
  void* data = nullptr;   // aligned to 256 bytes
  std::size_t bytes = 0;  // at least what was asked for
  void* stream = nullptr;
  PoolId pool = 0;
  Piece* piece = nullptr;
};

}  // namespace convoy
