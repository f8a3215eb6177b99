// SPDX-License-Identifier: MIT
#pragma once
// The kernel of rungs 3 and 4 of gemm: they differ in which outputs a thread owns.

#include "kernels/gpu/gemm/operands.cuh"
#include "kernels/gpu/patch.cuh"

namespace convoy::CONVOY_TARGET {

// Whether four neighbours of a, and of b, are always one aligned access.
struct GemmPacks {
  bool a, b;
};

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    gemm_patch_per_thread(Gemm op, GemmPacks packs) {
  begin_kernel();
  const TilePlace<Tile> tile(op.M, op.N);
  const GemmOperands<T> at(op, tile.product);
  const int rows = static_cast<int>(op.M) - tile.m, columns = static_cast<int>(op.N) - tile.n;
  const int depth = static_cast<int>(op.K);
  const MatrixFactor<T> a{at.a + tile.m * at.a_row, op.lda, rows, depth, !op.transpose_a, packs.a};
  const MatrixFactor<T> b{
      at.b + tile.n * at.b_column, op.ldb, columns, depth, op.transpose_b, packs.b};
  const Patch<Tile> patch = multiply_patches<Tile>(0, depth, a, b);
  patch.for_each_quad([&](int row, int column, const float(&sum)[kQuad]) {
    if (!inside(row, rows)) return;
    CONVOY_UNROLL
    for (int j = 0; j < kQuad; ++j) {
      if (inside(column + j, columns)) at.store(op, tile.m + row, tile.n + column + j, sum[j]);
    }
  });
}

template <class T, template <int, int> class Patches>
void gemm_patches(const Gemm& op, const Stream& stream) {
  const auto packs = [](const void* place, std::int64_t pitch, std::int64_t stride) {
    return takes_quads(static_cast<const T*>(place), pitch) && stride % kQuad == 0;
  };
  const GemmPacks of{packs(op.a, op.lda, op.stride_a), packs(op.b, op.ldb, op.stride_b)};
  with_patch_tile<Patches>(op.M, op.N, op.batch, stream.device, [&]<class Tile>(Type<Tile>) {
    launch({.grid = tiles_for<Tile>(op.M, op.N, op.batch),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(typename Tile::Storage),
            .stream = stream},
           gemm_patch_per_thread<T, Tile>, op, of);
  });
}

}  // namespace convoy::CONVOY_TARGET
