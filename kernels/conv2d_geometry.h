// SPDX-License-Identifier: MIT
#pragma once
// The sizes of one 2-D convolution, checked once. Activations are NHWC, filters KRSC (out, kernel
// h, kernel w, in / groups). As everywhere in the field this is cross-correlation: the filter is
// not flipped.
//
//   const Conv2dGeometry g = conv2d_geometry(x_shape, weight_shape, {.padding = {1, 1}});
//   g.output_shape()       // [128, 32, 32, 32] for [128, 32, 32, 16] and [32, 3, 3, 16]

#include <array>
#include <cstdint>

#include "kernels/shape.h"

namespace convoy {

struct Conv2dOptions {
  std::array<std::int64_t, 2> stride{1, 1};    // height, width
  std::array<std::int64_t, 2> padding{0, 0};   // zeros on both sides of each
  std::array<std::int64_t, 2> dilation{1, 1};  // distance between neighbouring taps
  std::int64_t groups = 1;
};

struct Conv2dGeometry {
  std::int64_t N = 0, C = 1, H = 1, W = 1;  // input; N may be 0
  std::int64_t K = 1, R = 1, S = 1;         // filters and their taps
  std::int64_t P = 1, Q = 1;                // output height and width
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
  std::int64_t dilation_h = 1, dilation_w = 1, groups = 1;

  Shape input_shape() const { return {N, H, W, C}; }
  Shape weight_shape() const { return {K, R, S, C / groups}; }
  Shape output_shape() const { return {N, P, Q, K}; }
  friend bool operator==(const Conv2dGeometry&, const Conv2dGeometry&) = default;
};

// Throws Error for every combination that is not a convolution: a wrong rank, channels that do not
// match, groups that do not divide, a kernel larger than the padded input. The text carries both
// shapes.
Conv2dGeometry conv2d_geometry(const Shape& x, const Shape& weight, const Conv2dOptions& options);

}  // namespace convoy
