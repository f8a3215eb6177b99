// SPDX-License-Identifier: MIT
#pragma once
// gemm 5: tensor cores
// Idea     a warp multiplies 16 x 16 by 16 x 8 elements with one instruction (mma). ldmatrix brings
//          them from shared memory to registers, transposed where they must be; cp.async fills a
//          ring of four slabs ahead (kernels/gpu/tensor_tile.cuh). A warp owns 64 x 64 outputs, if
//          there are many. Where there are few tiles, a long K is split over blocks.
// Gain     f16 and bf16 at the tensor cores' rate, sums in f32. A fragment of a serves eight
//          instructions, one of b four: shared memory keeps up with them.
// Limit    every warp issues its own loads and waits at the block's barrier; mma reads both factors
//          from registers. wgmma reads them from shared memory.

#include "kernels/gemm.h"
#include "kernels/gpu/column_statistics.cuh"
#include "kernels/gpu/gemm/tensor_source.cuh"
#include "kernels/gpu/tensor_product.cuh"

namespace convoy::CONVOY_TARGET {

template <class Factor, Major kA, Major kB>
struct GemmPass {
  using T = Factor;
  static constexpr Major kMajorA = kA, kMajorB = kB;
  static constexpr bool kNorms = false;
  static constexpr TileSize kLargest = TileSize::wide;
  Gemm op;
  int a_width, b_width;

  __host__ __device__ int products() const { return static_cast<int>(op.batch); }
  __host__ __device__ int rows() const { return static_cast<int>(op.M); }
  __host__ __device__ int columns() const { return static_cast<int>(op.N); }
  __device__ __forceinline__ TensorProduct<GemmSource<T>, GemmSource<T>> product(int i) const {
    return {gemm_source<T>(op.a, i, op.stride_a, op.lda, op.M, op.K, kA, a_width),
            gemm_source<T>(op.b, i, op.stride_b, op.ldb, op.N, op.K, kB, b_width),
            static_cast<int>(op.M), static_cast<int>(op.K), i};
  }
};

// A stride between the products counts only where there are some.
inline std::int64_t step_of(std::int64_t stride, const Gemm& op) {
  return op.batch > 1 ? stride : 0;
}

inline Output gemm_output(const Gemm& op) {
  const DType out = op.out_dtype.value_or(op.dtype);
  const bool packs = takes_packs(op.c, size_of(out), op.N, op.ldc, step_of(op.stride_c, op)) &&
                     takes_packs(op.epilogue.bias, size_of(op.dtype), op.N) &&
                     takes_packs(op.epilogue.residual, size_of(out), op.N);
  return {.y = op.c,
          .in_f32 = out == DType::f32,
          .accumulate = op.accumulate,
          .width = packs ? Output::kPack : 1,
          .products = op.batch,
          .rows = op.M,
          .columns = op.N,
          .pitch = op.ldc,
          .product_step = op.stride_c,
          .epilogue = op.epilogue};
}

inline bool wants_totals(const Gemm& op) { return op.epilogue.statistics.mean != nullptr; }

struct GemmTensorCore {
  int a_width, b_width;  // of copies
  TensorPlan plan;
};

inline GemmTensorCore gemm_tensor_core_way(const Gemm& op, const Device& device) {
  const int a_width =
      copy_width(op.a, op.transpose_a ? op.M : op.K, op.lda, step_of(op.stride_a, op));
  const int b_width =
      copy_width(op.b, op.transpose_b ? op.K : op.N, op.ldb, step_of(op.stride_b, op));
  const TileSize largest = min(a_width, b_width) == kChunk ? TileSize::wide : TileSize::small;
  return {a_width, b_width,
          tensor_plan(op.M, op.N, op.K, op.batch, largest, !wants_totals(op), device)};
}

inline std::size_t gemm_tensor_core_workspace(const Gemm& op, const Device& device) {
  const TensorPlan plan = gemm_tensor_core_way(op, device).plan;
  const Output output = gemm_output(op);
  if (wants_totals(op)) return totals_bytes(output, blocks_for(op.M, tile_rows(plan)));
  return tensor_product_workspace(plan, output);
}

inline bool gemm_fits_tensor_core(const Gemm& op) {
  return op.dtype != DType::f32 && fits_tensor_tiles(op.M, op.N, op.K);
}

template <class T, class F>
void with_gemm_pass(const Gemm& op, const GemmTensorCore& way, F&& f) {
  const auto start = [&]<Major kA, Major kB>() {
    f(GemmPass<T, kA, kB>{op, way.a_width, way.b_width});
  };
  constexpr Major k = Major::k, mn = Major::mn;
  if (op.transpose_a) {
    return op.transpose_b ? start.template operator()<mn, k>()
                          : start.template operator()<mn, mn>();
  }
  op.transpose_b ? start.template operator()<k, k>() : start.template operator()<k, mn>();
}

template <class T>
void gemm_tensor_core(const Gemm& op, void* workspace, const Stream& stream) {
  const GemmTensorCore way = gemm_tensor_core_way(op, stream.device);
  Output output = gemm_output(op);
  if (wants_totals(op)) output.totals = static_cast<float*>(workspace);
  with_gemm_pass<T>(op, way, [&](const auto& pass) {
    run_tensor_product(pass, way.plan, output, workspace, stream);
  });
  if (!wants_totals(op)) return;
  finish_statistics(op.epilogue.statistics, op.N, op.M, tile_rows(way.plan), output.totals, stream);
}

}  // namespace convoy::CONVOY_TARGET
