// SPDX-License-Identifier: MIT
#pragma once
// 2-D convolution: forward, gradient to the input, gradient to weight and bias. Everything is
// dense: activations NHWC, filters KRSC. One geometry describes all three passes.
//
//   run(Conv2dForward{g, x, weight, y, DType::f32, {}, {.bias = bias}}, plan, workspace, stream);
//
// Prologues, statistics and the gradient's epilogue (kernels/prologue.h) are the GPU kernels'
// alone: on cpu they throw Error.

#include "kernels/base.h"
#include "kernels/conv2d_geometry.h"
#include "kernels/epilogue.h"
#include "kernels/prologue.h"

namespace convoy {

// y = x * weight, and what the epilogue makes of it
struct Conv2dForward {
  Conv2dGeometry g;
  const void* x;       // [N, H, W, C]
  const void* weight;  // [K, R, S, C / groups]
  void* y;             // [N, P, Q, K]
  DType dtype;
  Prologue prologue = {};  // of x
  Epilogue epilogue = {};  // of y
};
CONVOY_KERNEL_OP(Conv2dForward)

struct Conv2dBackwardInput {
  Conv2dGeometry g;
  const void* dy;      // [N, P, Q, K]
  const void* weight;  // [K, R, S, C / groups]
  void* dx;            // [N, H, W, C]
  bool accumulate;     // true: dx += gradient
  DType dtype;
  GradientPrologue prologue = {};  // of dy
  GradientEpilogue epilogue = {};  // of dx
};
CONVOY_KERNEL_OP(Conv2dBackwardInput)

// Either of dweight and dbias may be null: that gradient is not wanted.
struct Conv2dBackwardWeight {
  Conv2dGeometry g;
  const void* x;         // [N, H, W, C]
  const void* dy;        // [N, P, Q, K]
  void* dweight;         // [K, R, S, C / groups], may be null
  bool accumulate;       // true: dweight += gradient
  void* dbias;           // [K], may be null
  bool accumulate_bias;  // true: dbias += gradient
  DType dtype;
  std::optional<DType> grad_dtype = {};     // of dweight and dbias; may be f32 where dtype is half
  Prologue prologue = {};                   // of x
  GradientPrologue gradient_prologue = {};  // of dy
};
CONVOY_KERNEL_OP(Conv2dBackwardWeight)

// Both gradients of one convolution. Where the GPU's kernels have a launch for the two, dy and what
// its prologue reads cross memory once.
struct Conv2dBackward {
  Conv2dBackwardInput input;
  Conv2dBackwardWeight weight;  // of the same geometry and dtype
};
CONVOY_KERNEL_OP(Conv2dBackward)

}  // namespace convoy
