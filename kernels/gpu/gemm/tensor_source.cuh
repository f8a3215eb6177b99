// SPDX-License-Identifier: MIT
#pragma once
// A dense matrix as the tensor cores' tiles read it.

#include "kernels/gpu/tensor_tile.cuh"

namespace convoy::CONVOY_TARGET {

// One factor of one product: where its elements stand. Rows and depths, or runs of them, are
// counted from the first element; those outside of the matrix have no place.
template <class T, class NormOnLoad = NoNorm>
struct GemmSource {
  using Norm = NormOnLoad;
  const T* data;
  std::int64_t row_step, depth_step;
  int rows, depths;
  int width;
  Norm norm = {};
  int first_channel = 0;  // of the rows, which are channels where there is a norm

  static constexpr std::int64_t kNowhere = -1;

  __device__ __forceinline__ std::int64_t row(int i) const {
    return inside(i, rows) ? i * row_step : kNowhere;
  }
  __device__ __forceinline__ std::int64_t depth(int i) const {
    return inside(i, depths) ? i * depth_step : kNowhere;
  }
  __device__ __forceinline__ Run<T> at(std::int64_t row, std::int64_t depth) const {
    const bool is_inside = row >= 0 && depth >= 0;
    return {is_inside ? data + (row + depth) : data, is_inside,
            first_channel + static_cast<int>(row)};
  }
};

template <class T>
__device__ __forceinline__ GemmSource<T> gemm_source(const void* data, std::int64_t product,
                                                     std::int64_t stride, std::int64_t ld,
                                                     std::int64_t rows, std::int64_t depths,
                                                     Major major, int width) {
  const T* of_product = static_cast<const T*>(data) + product * stride;
  const int r = static_cast<int>(rows), d = static_cast<int>(depths);
  if (major == Major::k) return {of_product, ld, width, r, d / width, width};
  return {of_product, width, ld, r / width, d, width};
}

}  // namespace convoy::CONVOY_TARGET
