// SPDX-License-Identifier: MIT
#pragma once
// Loops over a shape with several strided operands: dimensions that can be walked as one are
// merged, then any range of elements is walked as runs along the innermost dimension.
//
//   const auto loop = merge_dims<2>(shape, {x_strides, y_strides});
//   for_each_run(loop, begin, end, [&](const auto& offset, std::int64_t first, std::int64_t n) {});

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/shape.h"

namespace convoy::on_cpu {

// Dimension 0 is the innermost. rank is at least 1; a single element is one run of length 1.
template <int N>
struct StridedLoop {
  int rank = 1;
  std::array<std::int64_t, kMaxRank> extent{1};
  std::array<std::array<std::int64_t, kMaxRank>, N> stride{};
};

// Drops extents of 1 and merges neighbours that every operand walks evenly. Keeps the order.
template <int N>
StridedLoop<N> merge_dims(const Shape& shape, const std::array<Strides, N>& strides) {
  StridedLoop<N> loop;
  loop.rank = 0;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    const int last = loop.rank - 1;
    bool merges = last >= 0;
    for (int k = 0; k < N && merges; ++k) {
      merges = strides[k][d] == loop.stride[k][last] * loop.extent[last];
    }
    if (merges) {
      loop.extent[last] *= shape[d];
      continue;
    }
    loop.extent[loop.rank] = shape[d];
    for (int k = 0; k < N; ++k) loop.stride[k][loop.rank] = strides[k][d];
    ++loop.rank;
  }
  if (loop.rank == 0) {
    loop.rank = 1;
    loop.extent[0] = 1;
    for (int k = 0; k < N; ++k) loop.stride[k][0] = 1;
  }
  return loop;
}

// Calls f(offset of each operand, first element, length) for the runs of elements [begin, end).
template <int N, class F>
void for_each_run(const StridedLoop<N>& loop, std::int64_t begin, std::int64_t end, F&& f) {
  std::array<std::int64_t, kMaxRank> at{};
  std::array<std::int64_t, N> offset{};
  std::int64_t rest = begin;
  for (int d = 0; d < loop.rank && rest > 0; ++d) {
    at[d] = rest % loop.extent[d];
    rest /= loop.extent[d];
    for (int k = 0; k < N; ++k) offset[k] += at[d] * loop.stride[k][d];
  }
  while (begin < end) {
    const std::int64_t length = std::min(loop.extent[0] - at[0], end - begin);
    f(offset, begin, length);
    begin += length;
    at[0] += length;
    for (int k = 0; k < N; ++k) offset[k] += length * loop.stride[k][0];
    for (int d = 0; d + 1 < loop.rank && at[d] == loop.extent[d]; ++d) {
      at[d] = 0;
      ++at[d + 1];
      for (int k = 0; k < N; ++k) {
        offset[k] += loop.stride[k][d + 1] - loop.extent[d] * loop.stride[k][d];
      }
    }
  }
}

}  // namespace convoy::on_cpu
