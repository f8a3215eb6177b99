// SPDX-License-Identifier: MIT
#pragma once
// From the picture as it is stored to the picture as it stands upright, by the eight values of
// EXIF's orientation (EXIF 2.32, tag 0x0112): 1 as it is, 2 mirrored, 3 upside down, 4 both of
// these; 5 to 8 lie on their side.

#include <cstdint>

#include "data/image.h"
#include "data/resize.h"

namespace convoy::data {

inline bool lies(int orientation) { return orientation >= 5; }
// The same picture's extent seen the other way, from stored to upright or back.
ImageExtent turned(const ImageExtent& extent, int orientation);

// A framing of the upright picture as one of the stored picture, whose result is `rows` x `columns`
// upright, and has yet to be turned.
Framing stored_framing(const Framing& upright, std::int64_t rows, std::int64_t columns,
                       const ImageExtent& stored, int orientation);

// Writes the upright picture to `out`.
void turn(const std::uint8_t* stored, const ImageExtent& extent, int orientation,
          std::uint8_t* out);

}  // namespace convoy::data
