// SPDX-License-Identifier: MIT
#pragma once
// Nearest and bilinear resizing over NHWC, up or down, with PyTorch's coordinates
// (torch.nn.functional.interpolate). With `scale` input pixels per output pixel, output p looks at
//
//   nearest                  floor(p * scale)
//   bilinear                 max((p + 0.5) * scale - 0.5, 0), between its two neighbours
//   bilinear, align_corners  p * (in - 1) / (out - 1)
//
// scale is in / out where a size was asked for, 1 / scale_factor where a factor was. It is kept in
// double; PyTorch's f32 coordinates can differ by one pixel at exact ties of nearest.

#include <array>

#include "kernels/base.h"

namespace convoy {

enum class UpsampleMode : std::uint8_t { nearest, bilinear };

struct UpsampleOptions {
  std::array<std::int64_t, 2> size{0, 0};    // output {H, W}; 0: from scale_factor
  std::array<double, 2> scale_factor{0, 0};  // output is floor(in * factor)
  UpsampleMode mode = UpsampleMode::nearest;
  bool align_corners = false;  // bilinear only
};

struct UpsampleAxis {
  std::int64_t in = 0, out = 0;
  double scale = 1;  // input pixels per output pixel
};

struct UpsampleGeometry {
  std::int64_t batch = 0, channels = 0;
  UpsampleAxis h, w;
  UpsampleMode mode = UpsampleMode::nearest;
  bool align_corners = false;
  Shape input_shape() const { return {batch, h.in, w.in, channels}; }
  Shape output_shape() const { return {batch, h.out, w.out, channels}; }
};

// Throws Error if x is not [N, H, W, C], or unless exactly one of size and scale_factor is given.
UpsampleGeometry upsample_geometry(const Shape& x, const UpsampleOptions& options);

struct UpsampleForward {
  UpsampleGeometry geometry;
  const void* x = nullptr;  // [N, H, W, C]
  void* y = nullptr;        // [N, P, Q, C]
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(UpsampleForward)

// Gathers: each input pixel adds up the outputs that read it, in order.
struct UpsampleBackward {
  UpsampleGeometry geometry;
  const void* dy = nullptr;  // [N, P, Q, C]
  void* dx = nullptr;        // [N, H, W, C]
  bool accumulate = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(UpsampleBackward)

}  // namespace convoy
