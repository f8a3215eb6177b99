// SPDX-License-Identifier: MIT
#pragma once
// Where an element of a merged loop (kernels/strided.h) lies in each operand.
//
//   const Offsets<2> at = offsets_of(loop, i);   x[at.of[0]], y[at.of[1]]

#include "kernels/gpu/gpu.cuh"
#include "kernels/strided.h"

namespace convoy::CONVOY_TARGET {

// Every operand lies as one dense run.
template <int N>
bool is_dense(const StridedLoop<N>& loop) {
  bool dense = loop.rank == 1;
  for (int k = 0; k < N; ++k) dense = dense && loop.stride[k][0] == 1;
  return dense;
}

template <int N>
struct Offsets {
  std::int64_t of[N];
};

// Element `index` counts row-major, dimension 0 fastest. One division per further dimension. Take
// the loop as `const __grid_constant__`, or each thread makes a copy in order to index it.
template <int N>
__device__ __forceinline__ Offsets<N> offsets_of(const StridedLoop<N>& loop, std::int64_t index) {
  Offsets<N> at{};
  for (int d = 0; d + 1 < loop.rank; ++d) {
    const std::int64_t rest = index / loop.extent[d], here = index - rest * loop.extent[d];
    for (int k = 0; k < N; ++k) at.of[k] += here * loop.stride[k][d];
    index = rest;
  }
  for (int k = 0; k < N; ++k) at.of[k] += index * loop.stride[k][loop.rank - 1];
  return at;
}

}  // namespace convoy::CONVOY_TARGET
