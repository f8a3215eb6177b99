// SPDX-License-Identifier: MIT
#pragma once
// What the passes of conv2d's rung wgmma share: how the copy engine walks over the images
// (kernels/gpu/tensor_map.h), on the host and in the kernel.

#include "kernels/conv2d_geometry.h"
#include "kernels/gpu/divisor.cuh"
#include "kernels/gpu/hopper/wgmma_launch.h"

namespace convoy::CONVOY_TARGET {

// ---- in the kernel ----

// Where the first tap stands for a pixel of the result: pixels count along a walk.
struct WalkedPixels {
  Radix split;  // image, line, place in the line
  int first_w, first_h, step_w, step_h;

  struct Place {
    int w, h, n;
  };
  __device__ __forceinline__ Place place(int pixel) const {
    const Index3 at = split.split(pixel);
    return {first_w + at.last * step_w, first_h + at.middle * step_h, at.first};
  }
};

// Taps in the order of the weights, as offsets from the first one: backwards for a gradient.
struct TapOffsets {
  int count, per_line;
  int first_w, first_h, step_w, step_h;
};

// ---- on the host ----

struct Images {
  const void* data;
  DType dtype;
  std::int64_t N, H, W, C;
};
inline TensorMap map_of_images(const Images& of, const Im2colWalk& walk, int pixels) {
  return tensor_map(Im2colMapSpec{.data = of.data,
                                  .dtype = of.dtype,
                                  .extent = {of.C, of.W, of.H, of.N},
                                  .stride = {1, of.C, of.W * of.C, of.H * of.W * of.C},
                                  .walk = walk,
                                  .channels = 64,
                                  .pixels = pixels,
                                  .swizzle = Swizzle::bytes128});
}

// From the first tap of a line, or column, to its last one.
inline std::int64_t farthest_w(const Conv2dGeometry& g) { return (g.S - 1) * g.dilation_w; }
inline std::int64_t farthest_h(const Conv2dGeometry& g) { return (g.R - 1) * g.dilation_h; }

// The first tap over x.
inline Im2colWalk walk_of_input(const Conv2dGeometry& g) {
  return {.lower = {-g.pad_w, -g.pad_h},
          .upper = {g.pad_w - farthest_w(g), g.pad_h - farthest_h(g)},
          .step = {g.stride_w, g.stride_h}};
}

inline WalkedPixels pixels_of(const Im2colWalk& walk, std::int64_t height, std::int64_t width) {
  return {.split = {Divisor(height), Divisor(width)},
          .first_w = static_cast<int>(walk.lower[0]),
          .first_h = static_cast<int>(walk.lower[1]),
          .step_w = static_cast<int>(walk.step[0]),
          .step_h = static_cast<int>(walk.step[1])};
}

inline TapOffsets taps_of(const Conv2dGeometry& g) {
  return {.count = static_cast<int>(g.R * g.S),
          .per_line = static_cast<int>(g.S),
          .first_w = 0,
          .first_h = 0,
          .step_w = static_cast<int>(g.dilation_w),
          .step_h = static_cast<int>(g.dilation_h)};
}

// Half types, one group, whole runs of 16 bytes.
inline bool fits_copies(const Conv2dGeometry& g, DType dtype, const void* a, const void* b) {
  const auto aligned = [](const void* data) {
    return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  };
  return (dtype == DType::f16 || dtype == DType::bf16) && g.groups == 1 && g.C % kCopyUnit == 0 &&
         g.K % kCopyUnit == 0 && aligned(a) && aligned(b);
}

// Rung 4 reaches about three fifths of wgmma's rate: so much of a product must not be padding.
inline bool mostly_there(std::int64_t extent, std::int64_t padded) {
  return 5 * extent >= 3 * padded;
}

}  // namespace convoy::CONVOY_TARGET
