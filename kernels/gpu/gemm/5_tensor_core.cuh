// SPDX-License-Identifier: MIT
#pragma once
// gemm 5: tensor cores
// Idea     a warp multiplies 16 x 16 by 16 x 8 elements with one instruction (mma), from fragments
//          that ldmatrix reads, transposed where it must; a ring of stages hides the way from
//          global memory (kernels/gpu/tensor_tile.cuh). A depth that is long for its few tiles is
//          split over blocks.
// Gain     f16 and bf16 at the tensor cores' rate, sums in f32.
// Limit    every warp issues its own loads and waits at the block's barrier; mma reads both factors
//          from registers. wgmma reads them from shared memory.

#include "kernels/gemm.h"
#include "kernels/gpu/tensor_output.cuh"
#include "kernels/gpu/tensor_plan.cuh"

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

// The widths of copies, the part of the depth for each block, and where its sums go.
struct GemmTensorCore {
  int a_width, b_width;
  TensorPlan plan;
  Output output;
};

template <class T, class Tile, Major kMajorA, Major kMajorB>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    gemm_tensor_core_tile(Gemm op, GemmTensorCore how) {
  auto& s = shared<typename Tile::Storage>();
  const TilePlace<Tile> tile(op.M, op.N);
  const auto batch = static_cast<unsigned>(op.batch);
  const unsigned product = tile.product % batch, split = tile.product / batch;
  const auto a =
      gemm_source<T>(op.a, product, op.stride_a, op.lda, op.M, op.K, kMajorA, how.a_width);
  const auto b =
      gemm_source<T>(op.b, product, op.stride_b, op.ldb, op.N, op.K, kMajorB, how.b_width);
  const int begin = static_cast<int>(split) * how.plan.slabs_per_split;
  const int end = min(begin + how.plan.slabs_per_split, how.plan.slabs);
  TensorSums<Tile> sums;
  multiply<T, Tile, kMajorA, kMajorB>(s, sums, a, tile.m, b, tile.n, begin, end);
  store_tile<T, Tile>(s, sums, how.output, tile.product, tile.m, tile.n);
}

// The widest copy for runs of `along` elements, on lines `ld` and products `stride` apart.
inline int copy_width(const void* data, std::int64_t along, std::int64_t ld, std::int64_t stride) {
  const auto place = reinterpret_cast<std::uintptr_t>(data) / sizeof(F16);
  const auto all = place | static_cast<std::uintptr_t>(along | ld | stride);
  return all % kChunk == 0 ? kChunk : all % 2 == 0 ? 2 : 1;
}

inline Output gemm_output(const Gemm& op) {
  const DType out = op.out_dtype.value_or(op.dtype);
  const std::int64_t product_step = op.batch > 1 ? op.stride_c : 0;
  const bool packs = takes_packs(op.c, size_of(out), op.N, op.ldc, product_step) &&
                     takes_packs(op.bias, size_of(op.dtype), op.N);
  return {.y = op.c,
          .in_f32 = out == DType::f32,
          .accumulate = op.accumulate,
          .width = packs ? Output::kPack : 1,
          .bias = op.bias,
          .rows = op.M,
          .columns = op.N,
          .pitch = op.ldc,
          .product_step = op.stride_c};
}

inline GemmTensorCore gemm_tensor_core_way(const Gemm& op, const Device& device) {
  const int a_width =
      copy_width(op.a, op.transpose_a ? op.M : op.K, op.lda, op.batch > 1 ? op.stride_a : 0);
  const int b_width =
      copy_width(op.b, op.transpose_b ? op.K : op.N, op.ldb, op.batch > 1 ? op.stride_b : 0);
  const bool whole_runs = min(a_width, b_width) == kChunk;
  return {a_width, b_width, tensor_plan(op.M, op.N, op.K, op.batch, whole_runs, device),
          gemm_output(op)};
}

inline std::size_t gemm_tensor_core_workspace(const Gemm& op, const Device& device) {
  const int splits = gemm_tensor_core_way(op, device).plan.splits;
  if (splits == 1) return 0;
  return static_cast<std::size_t>(splits * op.batch * op.M * op.N) * sizeof(float);
}

template <class T, class Tile>
void gemm_tensor_core_tiles(const Gemm& op, const GemmTensorCore& how, const Stream& stream) {
  const auto start = [&](auto kernel) {
    launch({.grid = tiles_for<Tile>(op.M, op.N, op.batch * how.plan.splits),
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
  return op.dtype != DType::f32 &&
         max(op.M, max(op.N, op.K)) <= kMaxTiledExtent - LargeTensorTile::kM;
}

template <class T>
void gemm_tensor_core(const Gemm& op, void* workspace, const Stream& stream) {
  const GemmTensorCore way = gemm_tensor_core_way(op, stream.device);
  const bool splits = way.plan.splits > 1;
  GemmTensorCore how = way;
  if (splits) how.output = partial_output(way.output, workspace);
  with_tensor_tile(
      way.plan, [&]<class Tile>(Type<Tile>) { gemm_tensor_core_tiles<T, Tile>(op, how, stream); });
  if (splits) add_splits_to<T>(way.output, workspace, way.plan.splits, op.batch, stream);
}

}  // namespace convoy::CONVOY_TARGET
