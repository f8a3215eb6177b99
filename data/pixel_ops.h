// SPDX-License-Identifier: MIT
#pragma once
// What augmentation does to the pixels of a row of a batch, in place: Pillow's ImageEnhance and
// ImageOps as torchvision calls them, to the level (a rotation may take the other one of two pixels
// that are equally near). Of one channel or three; a grey picture has no saturation and no hue to
// change.
//
//   adjust_contrast({row, {224, 224, 3}}, 1.4);

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"
#include "data/resize.h"

namespace convoy::data {

// Pixels of the caller's, [height, width, channels].
struct ImageSpan {
  std::uint8_t* pixels;
  ImageExtent extent;
  std::span<std::uint8_t> values() const {
    return {pixels, static_cast<std::size_t>(extent.count())};
  }
};

// A factor of 1 changes nothing, 0 leaves black, flat grey, grey or smoothed, more than 1 goes
// the other way.
void adjust_brightness(const ImageSpan& image, double factor);
void adjust_contrast(const ImageSpan& image, double factor);
void adjust_saturation(const ImageSpan& image, double factor);
// `scratch` grows to the image's size.
void adjust_sharpness(const ImageSpan& image, double factor, std::vector<std::uint8_t>& scratch);
// Turns the hue by a part of the circle, from -0.5 to 0.5.
void adjust_hue(const ImageSpan& image, double turn);

void posterize(const ImageSpan& image, int bits);         // keeps the upper bits of each value
void solarize(const ImageSpan& image, double threshold);  // inverts values from there on
void autocontrast(const ImageSpan& image);                // stretches each channel to 0..255
void equalize(const ImageSpan& image);                    // flattens each channel's histogram
void fill(const ImageSpan& image, const Box& box, const std::array<std::uint8_t, 3>& colour);

// Where the pixel that comes to (x, y) was: (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), by
// the pixels' centres. The nearest one is taken, and black where there is none.
using Affine = std::array<double, 6>;
Affine shear_x(double shear);
Affine shear_y(double shear);
Affine translate(double x, double y);
Affine rotate(double degrees, const ImageExtent& extent);  // to the left, around the middle
void warp(const ImageSpan& image, const Affine& from, std::vector<std::uint8_t>& scratch);

}  // namespace convoy::data
