// SPDX-License-Identifier: MIT
#pragma once
// Loops over a shape with several strided operands: dimensions that can be walked as one are
// merged, so that kernels see as few as there really are.
//
//   const auto loop = merge_dims<2>(shape, {x_strides, y_strides});

#include <array>
#include <cstdint>

#include "kernels/shape.h"

namespace convoy {

// Dimension 0 is the innermost. rank is at least 1; a single element is one run of length 1. Plain
// arrays: kernels take it by value.
template <int N>
struct StridedLoop {
  int rank = 1;
  std::int64_t extent[kMaxRank] = {1};
  std::int64_t stride[N][kMaxRank] = {};
};

// Drops extents of 1 and merges neighbours that every operand walks evenly. Keeps the order.
template <int N>
StridedLoop<N> merge_dims(const Shape& shape, const std::array<Strides, N>& strides);
extern template StridedLoop<2> merge_dims<2>(const Shape&, const std::array<Strides, 2>&);

}  // namespace convoy
