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
  std::uint32_t box[4];  // in im2col mode channels and pixels

  // In im2col mode: where the first tap's place may be, in W and H, and the way to the next one.
  struct Im2col {
    std::int64_t first[2], last[2], step[2];
  };
  bool is_im2col;
  Im2col im2col;
};

}  // namespace convoy::sim
