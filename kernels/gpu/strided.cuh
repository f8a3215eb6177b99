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

// Whether dimension 0 is made of whole packs, which each operand either has side by side, at
// multiples of 16 bytes, or does not move along.
template <int N, class... Pointers>
bool has_packs(const StridedLoop<N>& loop, std::int64_t pack, const Pointers*... arrays) {
  const bool aligned[] = {is_packed_aligned(arrays)...};
  static_assert(sizeof...(arrays) == N);
  bool packs = loop.extent[0] % pack == 0;
  for (int k = 0; k < N; ++k) {
    if (loop.stride[k][0] == 0) continue;
    packs = packs && loop.stride[k][0] == 1 && aligned[k];
    for (int d = 1; d < loop.rank; ++d) packs = packs && loop.stride[k][d] % pack == 0;
  }
  return packs;
}

// The same loop, counted in packs. An operand that does not move along dimension 0 still counts
// elements.
template <int N>
StridedLoop<N> in_packs(StridedLoop<N> loop, std::int64_t pack) {
  loop.extent[0] /= pack;
  for (int k = 0; k < N; ++k) {
    for (int d = 1; d < loop.rank && loop.stride[k][0] != 0; ++d) loop.stride[k][d] /= pack;
  }
  return loop;
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
