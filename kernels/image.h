// SPDX-License-Identifier: MIT
#pragma once
// From stored u8 images to what a network reads: gather, crop, flip, normalise, in one pass.
//
//   y = (u8 / 255 - mean[c]) / std[c]
//
// Pixels that the crop takes from outside the image are black (u8 0) and normalised as such.

#include "kernels/base.h"

namespace convoy {

inline constexpr int kMaxImageChannels = 4;

// Where one output image lies in its input: pixel (h, w) of the crop is pixel (h + offset_y,
// w + offset_x) of the image, and flip mirrors the crop left to right.
struct ImageRow {
  std::int32_t offset_y = 0;
  std::int32_t offset_x = 0;
  std::int32_t flip = 0;
  friend bool operator==(const ImageRow&, const ImageRow&) = default;
};

struct ImageNormalize {
  std::int64_t batch;
  std::int64_t images;                   // stored
  std::int64_t height, width, channels;  // of the stored images; 1 to 4 channels
  std::int64_t out_height, out_width;
  std::int64_t out_channels;  // at least channels; the rest is filled with 0
  const std::uint8_t* x;      // [images, height, width, channels]
  const std::int64_t* index;  // [batch]: which image each row takes; null: row n takes image n.
                              // One that is not there throws on cpu, and gives NaN elsewhere
  const ImageRow* rows;       // [batch]; null: offset 0, no flip
  void* y;                    // [batch, out_height, out_width, out_channels]
  DType out_dtype;
  float mean[kMaxImageChannels] = {};
  float std[kMaxImageChannels] = {1, 1, 1, 1};
};
CONVOY_KERNEL_OP(ImageNormalize)
void require_valid(const ImageNormalize& op);  // throws Error, but for what `index` holds

}  // namespace convoy
