// SPDX-License-Identifier: MIT
#pragma once
// What a TMA tensor map holds, to be read; a GPU's is opaque.

#include <cstddef>
#include <cstdint>

namespace convoy::sim {

struct TensorMap {
  std::byte* data;
  std::uint32_t rank, element_bytes;
  bool swizzled;           // 128 bytes
  std::int64_t extent[4];  // elements, innermost first
  std::int64_t stride_bytes[4];
  std::uint32_t box[4];
};

}  // namespace convoy::sim
