// SPDX-License-Identifier: MIT
#pragma once
// gemm 5: tensor cores
// Idea     a warp multiplies 16 x 16 by 16 x 8 elements with one instruction (mma), from fragments
//          that ldmatrix reads, transposed where it must; a ring of stages hides the way from
//          global memory (kernels/gpu/tensor_tile.cuh).
// Gain     f16 and bf16 at the tensor cores' rate, sums in f32.
// Limit    every warp issues its own loads and waits at the block's barrier; mma reads both factors
//          from registers. wgmma reads them from shared memory.

#include "kernels/gemm.h"
#include "kernels/gpu/tensor_output.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

// One factor of one product: where its elements stand. Rows and depths, or runs of them, are
// counted from the first element; those outside of the matrix have no place.
template <class T>
struct GemmSource {
  const T* data;
  std::int64_t row_step, depth_step;
  int rows, depths;
  int width;

  static constexpr std::int64_t kNowhere = -1;

  __device__ __forceinline__ std::int64_t row(int i) const {
    return inside(i, rows) ? i * row_step : kNowhere;
  }
  __device__ __forceinline__ std::int64_t depth(int i) const {
    return inside(i, depths) ? i * depth_step : kNowhere;
  }
  __device__ __forceinline__ Run<T> at(std::int64_t row, std::int64_t depth) const {
    const bool is_inside = row >= 0 && depth >= 0;
    return {is_inside ? data + (row + depth) : data, is_inside};
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

// The widths of copies, and where the sums go: what the host knows of the addresses.
struct GemmTensorCore {
  int a_width, b_width;
  TensorOutput output;
};

template <class T, class Tile, Major kMajorA, Major kMajorB>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    gemm_tensor_core_tile(Gemm op, GemmTensorCore how) {
  auto& s = shared<typename Tile::Storage>();
  const TilePlace<Tile> tile(op.M, op.N);
  const auto a =
      gemm_source<T>(op.a, tile.product, op.stride_a, op.lda, op.M, op.K, kMajorA, how.a_width);
  const auto b =
      gemm_source<T>(op.b, tile.product, op.stride_b, op.ldb, op.N, op.K, kMajorB, how.b_width);
  const int slabs = static_cast<int>((op.K + Tile::kK - 1) / Tile::kK);
  TensorSums<Tile> sums;
  multiply<T, Tile, kMajorA, kMajorB>(s, sums, a, tile.m, b, tile.n, 0, slabs);
  TensorOutput& output = how.output;
  output.y = static_cast<T*>(output.y) + tile.product * op.stride_c;
  store_tile<T, Tile>(s, sums, output, tile.m, tile.n);
}

// The widest copy for runs of `along` elements, on lines `ld` and products `stride` apart.
inline int copy_width(const void* data, std::int64_t along, std::int64_t ld, std::int64_t stride) {
  const auto place = reinterpret_cast<std::uintptr_t>(data) / 2;
  const auto all = place | static_cast<std::uintptr_t>(along | ld | stride);
  return all % 8 == 0 ? 8 : all % 2 == 0 ? 2 : 1;
}

inline GemmTensorCore gemm_tensor_core_way(const Gemm& op) {
  const std::size_t bytes = size_of(op.dtype);
  const bool packs = takes_packs(op.c, op.N | op.stride_c, op.ldc, bytes) &&
                     takes_packs(op.bias, op.N, op.N, bytes);
  return {
      copy_width(op.a, op.transpose_a ? op.M : op.K, op.lda, op.stride_a),
      copy_width(op.b, op.transpose_b ? op.K : op.N, op.ldb, op.stride_b),
      {op.c, op.bias, op.M, op.N, op.ldc, op.accumulate, false, packs ? TensorOutput::kPack : 1}};
}

template <class T, class Tile>
void gemm_tensor_core_by_tiles(const Gemm& op, const GemmTensorCore& how, const Stream& stream) {
  const auto start = [&](auto kernel) {
    launch({.grid = tiles_for<Tile>(op.M, op.N, op.batch),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(typename Tile::Storage),
            .stream = stream},
           kernel, op, how);
  };
  constexpr Major k = Major::k, m = Major::m;
  if (op.transpose_a) {
    op.transpose_b ? start(gemm_tensor_core_tile<T, Tile, m, k>)
                   : start(gemm_tensor_core_tile<T, Tile, m, m>);
  } else {
    op.transpose_b ? start(gemm_tensor_core_tile<T, Tile, k, k>)
                   : start(gemm_tensor_core_tile<T, Tile, k, m>);
  }
}

inline bool gemm_fits_tensor_core(const Gemm& op) {
  return op.dtype != DType::f32 && max(op.M, max(op.N, op.K)) <= kMaxTiledExtent - 128;
}

template <class T>
void gemm_tensor_core(const Gemm& op, const Stream& stream) {
  const GemmTensorCore how = gemm_tensor_core_way(op);
  const auto large = tiles_for<LargeTensorTile>(op.M, op.N, op.batch);
  if (min(how.a_width, how.b_width) == kChunk &&
      static_cast<int>(large) >= multiprocessor_count(stream.device)) {
    gemm_tensor_core_by_tiles<T, LargeTensorTile>(op, how, stream);
  } else {
    gemm_tensor_core_by_tiles<T, SmallTensorTile>(op, how, stream);
  }
}

}  // namespace convoy::CONVOY_TARGET
