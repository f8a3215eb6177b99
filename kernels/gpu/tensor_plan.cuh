// SPDX-License-Identifier: MIT
#pragma once
// Which tile the tensor cores work in and how the depth is split: a function of the shape and of
// the number of multiprocessors, so the same bits on the same kind of device.

#include "kernels/gpu/tensor_tile.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

struct TensorPlan {
  TileSize tile;
  int splits;  // parts of the depth, of as many slabs each; the last may have fewer
};

// A split sums 256 values at least: the less each sums, the more of the time goes into writing,
// reading and adding partial sums.
constexpr int kLeastSlabs = 8;

// Splits so that `tiles` fill every multiprocessor with the blocks that it has room for.
template <class Tile>
TensorPlan split_depth(std::int64_t tiles, int slabs, bool may_split, int multiprocessors) {
  const std::int64_t wanted =
      std::int64_t{Tile::kBlocks} * multiprocessors / max(tiles, std::int64_t{1});
  const std::int64_t most = may_split ? slabs / kLeastSlabs : 1;
  const int splits = static_cast<int>(max(std::int64_t{1}, min(wanted, most)));
  const int each = (slabs + splits - 1) / splits;
  constexpr bool kLarge = std::is_same_v<Tile, LargeTensorTile>;
  return {kLarge ? TileSize::large : TileSize::small, each == 0 ? 1 : (slabs + each - 1) / each};
}

// Rows, columns and depth are counted in int, a tile's overhang included.
inline bool fits_tensor_tiles(std::int64_t M, std::int64_t N, std::int64_t K) {
  return max(M, max(N, K)) <= INT32_MAX - LargeTensorTile::kM;
}

// Large tiles are taken if they keep every multiprocessor busy, and if what hangs over the edges of
// the result does not cost more than they gain: a quarter of the small tiles' work. Wide ones gain
// an eighth, and where a few multiprocessors are left without one, they lose less than that.
// `largest`: small, unless both factors lie in runs of 16 bytes.
inline TensorPlan tensor_plan(std::int64_t M, std::int64_t N, std::int64_t K, std::int64_t products,
                              TileSize largest, bool may_split, const Device& device) {
  const int slabs = static_cast<int>((K + LargeTensorTile::kK - 1) / LargeTensorTile::kK);
  const int multiprocessors = multiprocessor_count(device);
  const std::int64_t wide = tiles_for<WideTensorTile>(M, N, products);
  const std::int64_t large = tiles_for<LargeTensorTile>(M, N, products);
  const std::int64_t small = tiles_for<SmallTensorTile>(M, N, products);
  const bool fits_wide = largest == TileSize::wide && 2 * wide <= large + large / 8;
  if (fits_wide && 8 * wide >= 7 * multiprocessors) return {TileSize::wide, 1};
  const TensorPlan in_large =
      split_depth<LargeTensorTile>(large, slabs, may_split, multiprocessors);
  const bool fits = largest != TileSize::small && 4 * large <= small + small / 4;
  if (fits && large * in_large.splits >= multiprocessors) return in_large;
  return split_depth<SmallTensorTile>(small, slabs, may_split, multiprocessors);
}

inline int tile_rows(const TensorPlan& plan) {
  static_assert(WideTensorTile::kM == LargeTensorTile::kM);
  return plan.tile == TileSize::small ? SmallTensorTile::kM : LargeTensorTile::kM;
}

// Calls f(Type<Tile>) with the plan's tile, which is kLargest at most.
template <TileSize kLargest, class F>
void with_tensor_tile(const TensorPlan& plan, F&& f) {
  if constexpr (kLargest == TileSize::wide) {
    if (plan.tile == TileSize::wide) return f(Type<WideTensorTile>{});
  }
  if (plan.tile == TileSize::large) return f(Type<LargeTensorTile>{});
  f(Type<SmallTensorTile>{});
}

}  // namespace convoy::CONVOY_TARGET
