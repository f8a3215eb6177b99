// SPDX-License-Identifier: MIT
#pragma once
// Sums and maxima over any set of dimensions. The order of a sum depends on shape and device alone:
// the same bits for any number of threads. On cpu sums are taken in double precision, in blocks. On
// cuda and sim a thread adds in f32 and carries what is rounded off along, and threads' sums are
// joined in double: either way the error is that of about one rounding of each term and one of
// the result.
//
//   const std::uint32_t axes = 0b0111;                                  // N, H, W of NHWC
//   run(ReduceSum{shape, x_strides, axes, x, y, DType::f32}, how, workspace, stream);   // y[C]

#include "kernels/base.h"

namespace convoy {

// Bit d of `axes` set: dimension d is reduced.
Shape kept_extents(const Shape& shape, std::uint32_t axes);     // the others, in order
Shape reduced_extents(const Shape& shape, std::uint32_t axes);  // those, in order
// The axes over which a gradient of shape `from` is summed for an operand of shape `to` that was
// broadcast to it.
std::uint32_t broadcast_axes(const Shape& from, const Shape& to);

// y (+)= scale * sum of x over the axes, or of x * factor where a factor is given. The sum over no
// elements is 0. A mean is a sum with scale 1 / reduced elements.
struct ReduceSum {
  Shape shape;  // of x
  Strides x_strides;
  std::uint32_t axes;
  const void* x;
  void* y;  // dense, kept_extents(shape, axes)
  DType dtype;
  double scale = 1;
  bool accumulate = false;
  const void* factor = nullptr;  // may be null
  Strides factor_strides = {};
  std::optional<DType> out_dtype = {};  // of y; may be f32 where dtype is half
};
CONVOY_KERNEL_OP(ReduceSum)

// Largest element over the axes and where it is: its row-major position among the reduced
// dimensions. Of equal ones the first counts; a NaN is larger than everything. Throws Error where
// nothing is there to choose from. (PyTorch's amax shares the gradient among equal elements; this
// is PyTorch's max over a dimension, whose gradient goes to the one that was chosen.)
struct ReduceMax {
  Shape shape;  // of x
  Strides x_strides;
  std::uint32_t axes;
  const void* x;
  void* y;              // dense, kept_extents(shape, axes); may be null
  std::int64_t* index;  // as y; may be null
  DType dtype;
};
CONVOY_KERNEL_OP(ReduceMax)
void require_choice(const ReduceMax& op);  // throws that Error

// dx (+)= dy at the chosen elements, 0 elsewhere.
struct ReduceMaxBackward {
  Shape shape;  // of x
  std::uint32_t axes;
  const void* dy;             // dense, kept_extents(shape, axes)
  const std::int64_t* index;  // as dy
  void* dx;                   // dense, `shape`
  DType dtype;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(ReduceMaxBackward)

}  // namespace convoy
