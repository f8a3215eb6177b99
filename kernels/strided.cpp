// SPDX-License-Identifier: MIT
#include "kernels/strided.h"

namespace convoy {

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

template StridedLoop<2> merge_dims<2>(const Shape&, const std::array<Strides, 2>&);

}  // namespace convoy
