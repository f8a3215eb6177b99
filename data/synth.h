// SPDX-License-Identifier: MIT
#pragma once
// A data set made from nothing: the digits 0 to 9, drawn as strokes, turned, slanted, scaled and
// moved, in random colours on a random shade, with noise. A picture depends on (seed, split, digit,
// index) alone, and the same options give the same bytes.
//
//   write_synth("digits", {.train_per_class = 500, .val_per_class = 100, .seed = 1});
//   // digits/train/7/00001.jpg ... digits/val/7/00001.jpg

#include <cstdint>
#include <filesystem>

#include "data/image.h"

namespace convoy::data {

struct SynthOptions {
  int train_per_class = 500;  // up to 65535
  int val_per_class = 100;    // up to 65535
  int size = 32;              // pixels a side, 16 to 256
  int quality = 92;           // of the JPEG files
  std::uint64_t seed = 0;
};

enum class SynthSplit : std::uint8_t { train, val };

// One picture of size x size x 3. `index` counts from 1.
Image draw_digit(int digit, SynthSplit split, int index, const SynthOptions& options);

// Writes root/train/<digit>/<index>.jpg and root/val/..., under a temporary name until all is
// there. Throws Error of kind usage if `root` exists and is not an empty folder, or an option is
// out of range.
void write_synth(const std::filesystem::path& root, const SynthOptions& options);

}  // namespace convoy::data
