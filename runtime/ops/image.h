// SPDX-License-Identifier: MIT
#pragma once
// Stored u8 images to network input on the device: gather, crop, flip, normalise in one pass.
//
//   Tensor x = normalize_images(images, index, rows, {.mean = {0.5f}, .std = {0.25f}});

#include <array>

#include "kernels/image.h"
#include "runtime/tensor.h"

namespace convoy {

struct NormalizeOptions {
  std::array<float, kMaxImageChannels> mean = {};
  std::array<float, kMaxImageChannels> std = {1, 1, 1, 1};
  std::int64_t out_height = 0;    // 0: as the images
  std::int64_t out_width = 0;     // 0: as the images
  std::int64_t out_channels = 0;  // 0: as the images; else the rest is filled with 0
  DType dtype = DType::f32;
};

// images u8 [count, H, W, C]; index i64 [batch], or undefined for all in order; rows i32 [batch, 3]
// (offset_y, offset_x, flip, as kernels/image.h has them), or undefined. Result [batch, out_height,
// out_width, out_channels], without a gradient. Throws Error for other shapes and dtypes, and for
// an index that is out of range.
Tensor normalize_images(const Tensor& images, const Tensor& index, const Tensor& rows,
                        const NormalizeOptions& options);

}  // namespace convoy
