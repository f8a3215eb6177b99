// SPDX-License-Identifier: MIT
#pragma once
// gemm 2: shared-memory tile
// Idea     a block stages a tile of a and one of b in shared memory, and a thread computes a strip
//          of outputs from them (kernels/gpu/tile.cuh).
// Gain     a value is read from global memory once per tile, not once per output; of shared
//          memory's values, one of b serves the whole strip.
// Limit    one shared value of a per multiply-add. Rung 3 keeps a patch of outputs in registers.

#include "kernels/gpu/gemm/operands.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads) gemm_block_per_tile(Gemm op) {
  begin_kernel();
  const TilePlace<Tile> tile(op.M, op.N);
  const GemmOperands<T> at(op, tile.product);

  // Rows and columns past the end are not stored: their checks only keep the reads inside of a
  // and b. Those of k keep what is there out of the sums.
  const Strip<Tile> strip = multiply<Tile>(
      0, static_cast<int>(op.K), !op.transpose_a,
      [&](int row, int k) {
        const int m = tile.m + row;
        return inside(m, op.M) && inside(k, op.K) ? at.a_at(m, k) : 0.0f;
      },
      op.transpose_b,
      [&](int column, int k) {
        const int n = tile.n + column;
        return inside(n, op.N) && inside(k, op.K) ? at.b_at(k, n) : 0.0f;
      });

  const int n = tile.n + strip.column();
  for (int i = 0; i < Tile::kStrip; ++i) {
    const int m = tile.m + strip.first_row() + i;
    if (inside(m, op.M) && inside(n, op.N)) at.store(op, m, n, strip.sum[i]);
  }
}

inline bool gemm_fits_shared_tile(const Gemm& op) {
  return max(op.M, max(op.N, op.K)) <= kMaxTiledExtent;
}

template <class T>
void gemm_shared_tile(const Gemm& op, const Stream& stream) {
  with_tile(op.N, [&]<class Tile>(Type<Tile>) {
    launch({.grid = tiles_for<Tile>(op.M, op.N, op.batch),
            .block = Tile::kThreads,
            .shared_bytes = sizeof(typename Tile::Storage),
            .stream = stream},
           gemm_block_per_tile<T, Tile>, op);
  });
}

}  // namespace convoy::CONVOY_TARGET
