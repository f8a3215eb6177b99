// SPDX-License-Identifier: MIT
#pragma once
// Bilinear resizing that averages when it shrinks (the triangle widens with the factor), as
// Pillow's BILINEAR and torchvision's antialias=True do; within one level of them.
//
//   resize_bilinear(image, {.box = whole(image), .height = 256, .width = 341, .top = 16, .left =
//   58},
//                   224, 224, row);     // shorter side to 256, then the 224 x 224 in the middle

#include <cstdint>

#include "data/image.h"

namespace convoy::data {

struct Box {
  std::int64_t y = 0, x = 0, height = 0, width = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

// Which part of a picture is kept, and how: `box` is cut out, scaled to height x width, and of that
// the window that starts at (top, left) is wanted.
struct Framing {
  Box box;
  std::int64_t height = 0, width = 0;
  std::int64_t top = 0, left = 0;
  friend bool operator==(const Framing&, const Framing&) = default;
};

Box whole(const ImageExtent& extent);

// Writes out_height x out_width pixels of the image's channels to `out`. Throws Error if the box is
// empty or leaves the image, or the window leaves height x width.
void resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                     std::int64_t out_width, std::uint8_t* out);
Image resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                      std::int64_t out_width);

}  // namespace convoy::data
