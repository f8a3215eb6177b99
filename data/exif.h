// SPDX-License-Identifier: MIT
#pragma once
// How a camera was held: the EXIF orientation (tag 0x0112 of IFD0, EXIF 2.32 section 4.6.4), found
// without a library. It is a hint, so anything odd in it reads as 1, upright.

#include <cstdint>
#include <span>

namespace convoy::data {

// 1 to 8, of a whole JPEG or PNG file (an APP1 segment, an eXIf chunk).
int jpeg_orientation(std::span<const std::uint8_t> file);
int png_orientation(std::span<const std::uint8_t> file);

// Of the TIFF structure that holds the tags.
int tiff_orientation(std::span<const std::uint8_t> tiff);

}  // namespace convoy::data
