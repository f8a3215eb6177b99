// SPDX-License-Identifier: MIT
#pragma once
// Bilinear resizing that averages when it shrinks (the triangle widens with the factor), as
// Pillow's BILINEAR and torchvision's antialias=True do; within one level of them.
//
//   resize_bilinear(image, {.box = whole(image), .height = 256, .width = 341, .top = 16, .left =
//   58},
//                   224, 224, row);     // shorter side to 256, then the 224 x 224 in the middle

#include <cstdint>
#include <vector>

#include "data/image.h"

namespace convoy::data {

struct Box {
  std::int64_t y = 0, x = 0, height = 0, width = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

// A box whose borders may lie within pixels: what a Box becomes in a picture of another scale.
struct Region {
  double y = 0, x = 0, height = 0, width = 0;
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
bool lies_in(const Box& box, const ImageExtent& extent);  // and is not empty
// Throws Error if the box is empty or leaves the image, or the window leaves height x width.
void check(const Framing& framing, const ImageExtent& image, std::int64_t out_height,
           std::int64_t out_width);

// Resizes many pictures with the same memory. Two steps, so that a decoder can be asked for no more
// than is read:
//
//   const Box part = resizer.plan(region, framing, 224, 224);
//   resizer.run(pixels, stride, 3, row);             // of the pixel at (part.y, part.x)
class Resizer {
 public:
  // What is cut out is `region` of a picture instead of framing.box. Pixels that it only touches
  // count as far as the triangle reaches into it, and none outside of them does: Pillow's
  // crop(pixels touched).resize(box = region within them). Returns the pixels that are read.
  Box plan(const Region& region, const Framing& framing, std::int64_t out_height,
           std::int64_t out_width);
  // `pixels` is the first of that part, with rows `stride` bytes apart. Writes out_height x
  // out_width x channels.
  void run(const std::uint8_t* pixels, std::int64_t stride, std::int64_t channels,
           std::uint8_t* out);

 private:
  // For each wanted position the `taps` inputs that it averages, from begin on.
  struct Axis {
    std::int64_t first = 0, end = 0;  // inputs that are read
    std::int64_t taps = 0;            // of each position; weights of some may be 0
    std::int64_t stride = 0;          // of `weight`: taps rounded up to four, the rest 0
    std::vector<std::int64_t> begin;  // [count], from `first`
    std::vector<float> weight;        // [count, stride]
  };
  static void plan_axis(double begin, double extent, std::int64_t out, std::int64_t at,
                        std::int64_t count, Axis& axis);
  void scale_down(const std::uint8_t* pixels, std::int64_t stride, std::size_t y,
                  std::size_t values, float* out);
  template <int taps>
  void scale_across(std::int64_t channels);

  Axis down_, across_;
  std::vector<float> row_;     // some rows of the part's width, after scale_down
  std::vector<float> scaled_;  // these of the wanted width
};

// Writes out_height x out_width pixels of the image's channels to `out`. Throws Error as check().
void resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                     std::int64_t out_width, std::uint8_t* out);
Image resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                      std::int64_t out_width);

}  // namespace convoy::data
