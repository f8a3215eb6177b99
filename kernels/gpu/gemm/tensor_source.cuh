// SPDX-License-Identifier: MIT
#pragma once
// A dense matrix as the tensor cores' tiles read it.

#include "kernels/gpu/tensor_stager.cuh"

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

  struct Row {
    const T* begin;
    bool is_inside;
    int channel;
  };
  struct Depth {
    std::int64_t offset;
    bool is_inside;
  };

  __device__ __forceinline__ Row row(int i) const {
    const std::int64_t offset = i * row_step;
    const bool is_inside = inside(static_cast<unsigned>(i), static_cast<unsigned>(rows));
    return {data + offset, is_inside, first_channel + (is_inside ? static_cast<int>(offset) : 0)};
  }
  __device__ __forceinline__ Depth depth(int i) const {
    return {i * depth_step, inside(static_cast<unsigned>(i), static_cast<unsigned>(depths))};
  }
  __device__ __forceinline__ Run<T> at(const Row& row, const Depth& depth) const {
    return {row.begin + depth.offset, row.is_inside && depth.is_inside, row.channel};
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
