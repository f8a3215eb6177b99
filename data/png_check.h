// SPDX-License-Identifier: MIT
#pragma once
// Is this file a sound PNG (ISO/IEC 15948)? The decoder behind it, stb_image, checks neither CRCs
// nor chunk order nor the checksum of the pixels, and lets compressed data expand without end; this
// pass does, without keeping a pixel. What follows the IEND chunk is ignored, as browsers do.
//
//   const PngHeader header = check_png(file, "cat.png", limits);

#include <cstdint>
#include <span>
#include <string>

#include "data/image.h"

namespace convoy::data {

struct PngHeader {
  std::int64_t height = 0, width = 0;
  int bit_depth = 0;        // 1, 2, 4, 8 or 16
  int colour_type = 0;      // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  bool interlaced = false;  // Adam7
  int palette_entries = 0;
  std::uint64_t packed_bytes = 0;  // of all IDAT chunks
};

// Throws Error of kind data that names the byte and the rule: signature; IHDR first, its fields
// legal, sizes within the limits; lengths inside the file; the CRC of every chunk; PLTE before
// IDAT, there where it must be; IDAT chunks in a row; no unknown critical chunk; IEND; a zlib
// stream that expands to the pixels' bytes and no further, with the right checksum.
PngHeader check_png(std::span<const std::uint8_t> file, const std::string& name,
                    const DecodeLimits& limits);

// Bytes of the unpacked pixel data: a filter byte before each row, of each Adam7 pass.
std::uint64_t png_unpacked_bytes(const PngHeader& header);

}  // namespace convoy::data
