// SPDX-License-Identifier: MIT
#pragma once
// Sums, means and maxima. `dims` lists the dimensions to reduce, negative ones counted from the
// end, none meaning all; with keepdim they stay as extents of 1. Deterministic: the same bits for
// any number of threads.
//
//   Tensor pooled = mean(x, {1, 2});            // [N, H, W, C] to [N, C]
//   auto [values, indices] = max(logits, -1);

#include "runtime/tensor.h"

namespace convoy {

Tensor sum(const Tensor& x, const Shape& dims = {}, bool keepdim = false);
// The mean over no elements is NaN.
Tensor mean(const Tensor& x, const Shape& dims = {}, bool keepdim = false);

struct MaxResult {
  Tensor values;
  Tensor indices;  // i64
};
// Largest element and its index along a dimension: of equal ones the first, NaN above all. The
// gradient goes to the element that was chosen. Throws Error for a dimension without elements.
MaxResult max(const Tensor& x, int dim, bool keepdim = false);
// Largest of all elements, as a tensor of rank 0.
Tensor max(const Tensor& x);
// Indices of the above, i64; without a dimension the position in row-major order.
Tensor argmax(const Tensor& x, int dim, bool keepdim = false);
Tensor argmax(const Tensor& x);

}  // namespace convoy
