// SPDX-License-Identifier: MIT
#pragma once
// Max and average pooling over NHWC, with PyTorch's conventions: output sizes with and without
// ceil_mode, padding counted or not, adaptive bins that may overlap.
//
//   const Pool2dGeometry g = pool2d_geometry("max_pool2d", x_shape, {.kernel_size = {3, 3},
//                                            .stride = {2, 2}, .padding = {1, 1}});
//   run(MaxPool2dForward{g, x, y, indices, DType::f32}, {}, nullptr, stream);
//
// Gradients add up in a fixed order: no two threads write to one place.

#include <array>

#include "kernels/base.h"

namespace convoy {

using PoolSize = std::array<std::int64_t, 2>;  // {vertical, horizontal}

struct Pool2dOptions {
  PoolSize kernel_size{1, 1};
  PoolSize stride{0, 0};  // 0: kernel_size
  PoolSize padding{0, 0};
  PoolSize dilation{1, 1};        // max pooling only
  bool ceil_mode = false;         // let a last window start inside the image or its left padding
  bool count_include_pad = true;  // average pooling: padding counts as zeros
};

// One direction of a pooling: output p looks at input taps p * stride - padding + r * dilation, or,
// where adaptive, at [floor(p * in / out), ceil((p + 1) * in / out)).
struct PoolAxis {
  std::int64_t in = 0, out = 0;
  std::int64_t kernel = 1, stride = 1, padding = 0, dilation = 1;
  bool adaptive = false;
};

struct Pool2dGeometry {
  std::int64_t batch = 0, channels = 0;
  PoolAxis h, w;
  bool count_include_pad = true;
  Shape input_shape() const { return {batch, h.in, w.in, channels}; }
  Shape output_shape() const { return {batch, h.out, w.out, channels}; }
};

// Throw Error, naming `op`, if x is not [N, H, W, C], if the options do not fit it, or if an extent
// or a row does not fit into 31 bits.
Pool2dGeometry pool2d_geometry(const char* op, const Shape& x, const Pool2dOptions& options);
Pool2dGeometry adaptive_pool2d_geometry(const char* op, const Shape& x, PoolSize output_size);

struct MaxPool2dForward {
  Pool2dGeometry geometry;
  const void* x = nullptr;  // [N, H, W, C]
  void* y = nullptr;        // [N, P, Q, C]
  std::int32_t* indices =
      nullptr;  // [N, P, Q, C] h * W + w of the first maximum, -1: none; null: not wanted
  DType dtype = DType::f32;  // a NaN counts as the largest value
};
CONVOY_KERNEL_OP(MaxPool2dForward)

struct MaxPool2dBackward {
  Pool2dGeometry geometry;
  const void* dy = nullptr;               // [N, P, Q, C]
  const std::int32_t* indices = nullptr;  // [N, P, Q, C]
  void* dx = nullptr;                     // [N, H, W, C]
  bool accumulate = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(MaxPool2dBackward)

struct AvgPool2dForward {
  Pool2dGeometry geometry;
  const void* x = nullptr;  // [N, H, W, C]
  void* y = nullptr;        // [N, P, Q, C]
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(AvgPool2dForward)

struct AvgPool2dBackward {
  Pool2dGeometry geometry;
  const void* dy = nullptr;  // [N, P, Q, C]
  void* dx = nullptr;        // [N, H, W, C]
  bool accumulate = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(AvgPool2dBackward)

}  // namespace convoy
