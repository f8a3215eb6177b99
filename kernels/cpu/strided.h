// SPDX-License-Identifier: MIT
#pragma once
// Walks any range of elements of a merged loop (kernels/strided.h) as runs along the innermost
// dimension.
//
//   for_each_run(loop, begin, end, [&](const auto& offset, std::int64_t first, std::int64_t n) {});

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/strided.h"

namespace convoy::on_cpu {

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
