// SPDX-License-Identifier: MIT
#pragma once
// Views: other shapes and strides over the same memory. Nothing is copied (reshape of a tensor
// that is not contiguous makes a dense copy first). All of them are on the tape.

#include "runtime/tensor.h"

namespace convoy {

// The same numbers in row-major order under another shape. One extent may be -1: it is worked out.
Tensor reshape(const Tensor& x, const Shape& shape);
// Dimension i of the result is dimension order[i] of x.
Tensor permute(const Tensor& x, const Shape& order);
Tensor transpose(const Tensor& x, int dim0, int dim1);
// Elements [begin, end) of one dimension, 0 <= begin <= end <= extent.
Tensor slice(const Tensor& x, int dim, std::int64_t begin, std::int64_t end);
// x repeated along its extents of 1, and along new leading dimensions, to `shape`, by stride 0.
// Throws Error where x does not broadcast to it.
Tensor expand(const Tensor& x, const Shape& shape);
// All dimensions from `start_dim` on in one.
Tensor flatten(const Tensor& x, int start_dim = 1);

}  // namespace convoy
