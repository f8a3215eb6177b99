// SPDX-License-Identifier: MIT
#pragma once
// conv2d 3: register tile
// Idea     rung 2's products with the outputs in registers (kernels/gpu/patch.cuh). Neighbours in
//          memory are channels, or filters: four of them share one tap, and come by one access
//          (kernels/gpu/conv2d/patch_factors.cuh). Of few channels a warp is a block, and owns
//          64 x 32 outputs or 64 x 16. A strided backward input goes phase by phase (phases.cuh).
// Gain     16 shared values serve 64 multiply-adds, where rung 2 reads one for each; a place is
//          looked up once for four values; the zeros between strided outputs are not multiplied.
// Limit    f32 multiply-adds. Rung 4 uses the tensor cores.

#include "kernels/gpu/conv2d/fused.h"
#include "kernels/gpu/conv2d/patch_passes.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
ConvolutionPacks packs_of(const Conv2dForward& op, const Walk& g) {
  return {takes_quads(static_cast<const T*>(op.x), g.channels),
          takes_quads(static_cast<const T*>(op.weight), g.channels)};
}
template <class T>
ConvolutionPacks packs_of(const Conv2dBackwardInput& op, const Walk& g) {
  return {takes_quads(static_cast<const T*>(op.dy), g.filters) &&
              takes_quads(static_cast<const T*>(op.prologue.raw), g.filters),
          takes_quads(static_cast<const T*>(op.weight), g.channels)};
}
template <class T>
ConvolutionPacks packs_of(const Conv2dBackwardWeight& op, const Walk& g) {
  return {takes_quads(static_cast<const T*>(op.x), g.channels),
          takes_quads(static_cast<const T*>(op.dy), g.filters) &&
              takes_quads(static_cast<const T*>(op.gradient_prologue.raw), g.filters)};
}

// Calls f(type of the tile, whether with the neighbours' norms): those have tiles of 64 rows, which
// leave them registers.
template <class F>
void with_convolution_tile(bool fused, std::int64_t M, std::int64_t N, std::int64_t products,
                           const Device& device, F&& f) {
  if (fused) {
    return with_narrow_tile(N, [&]<class Tile>(Type<Tile> tile) { f(tile, std::true_type{}); });
  }
  with_patch_tile<PatchesInWarps>(M, N, products, device,
                                  [&]<class Tile>(Type<Tile> tile) { f(tile, std::false_type{}); });
}

template <class T>
void conv2d_register_tile(const Conv2dForward& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  auto* const partial =
      op.epilogue.statistics.mean == nullptr ? nullptr : static_cast<float*>(workspace);
  with_convolution_tile(is_fused(op), walk.outputs, walk.filters, op.g.groups, stream.device,
                        [&]<class Tile, bool kFused>(Type<Tile>, std::bool_constant<kFused>) {
                          launch({.grid = tiles_for<Tile>(walk.outputs, walk.filters, op.g.groups),
                                  .block = Tile::kThreads,
                                  .shared_bytes = kFused ? sizeof(SpreadStorage<Tile>)
                                                         : sizeof(typename Tile::Storage),
                                  .stream = stream},
                                 conv2d_forward_patch_per_thread<T, Tile, kFused>, op, walk,
                                 packs_of<T>(op, walk), partial);
                        });
  if (partial != nullptr) finish_statistics(op, partial, Columns16Tile::kM, stream);
}

// Rows of tiles of all phases: the tiles of a fused one have as many rows.
inline std::int64_t register_tile_tiles(const Phases& phases) {
  return phases.count * phases.tiles_each(Columns16Tile::kM);
}
inline Phases phases_of(const Conv2dBackwardInput& op) { return {Extents(op.g), op.g.N}; }
inline std::size_t conv2d_register_tile_workspace(const Conv2dBackwardInput& op) {
  return gradient_partial_bytes(op, register_tile_tiles(phases_of(op)));
}

template <class T>
void conv2d_register_tile(const Conv2dBackwardInput& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  const Phases phases = phases_of(op);
  const int rows = phases.rows();
  const std::int64_t products = op.g.groups * phases.count;
  auto* const partial = op.epilogue.raw == nullptr ? nullptr : static_cast<float*>(workspace);
  with_convolution_tile(is_fused(op), rows, walk.channels, products, stream.device,
                        [&]<class Tile, bool kFused>(Type<Tile>, std::bool_constant<kFused>) {
                          launch({.grid = tiles_for<Tile>(rows, walk.channels, products),
                                  .block = Tile::kThreads,
                                  .shared_bytes = kFused ? sizeof(GradientSumStorage<Tile>)
                                                         : sizeof(typename Tile::Storage),
                                  .stream = stream},
                                 conv2d_backward_input_patch_per_thread<T, Tile, kFused>, op, walk,
                                 phases, packs_of<T>(op, walk), partial);
                        });
  if (partial != nullptr) add_gradient_sums(op, partial, register_tile_tiles(phases), stream);
}

// Calls f with the tile for the gradient of the weights: by the shape alone, as the parts are, so
// that the sums are the same on every GPU.
template <class F>
void with_weight_tile(const Conv2dGeometry& g, bool fused, F&& f) {
  using Large = PatchTile<128, 128, PatchesInWarps>;
  using Small = PatchTile<64, 64, PatchesInWarps>;
  const bool large = weights_per_filter(g) > Small::kM && g.K / g.groups > Small::kN;
  if (large && !fused) return f(Type<Large>{}, std::false_type{});
  with_narrow_tile(g.K / g.groups, [&]<class Tile>(Type<Tile> tile) {
    fused ? f(tile, std::true_type{}) : f(tile, std::false_type{});
  });
}

// Enough blocks for a large GPU, where there are few tiles; 32 slabs of a tile at least.
template <class Tile>
Parts register_tile_parts(const Conv2dGeometry& g) {
  constexpr std::int64_t kWantedBlocks = 256 * Tile::kBlocks, kOutputs = 32 * Tile::kK;
  const std::int64_t tiles = tiles_for<Tile>(weights_per_filter(g), g.K / g.groups, g.groups);
  return cut(g.N * g.P * g.Q, max(kWantedBlocks / tiles, std::int64_t{1}), kOutputs);
}
inline Parts conv2d_register_tile_parts(const Conv2dBackwardWeight& op) {
  Parts parts{};
  with_weight_tile(op.g, is_fused(op),
                   [&]<class Tile>(Type<Tile>, auto) { parts = register_tile_parts<Tile>(op.g); });
  return parts;
}

template <class T>
void conv2d_register_tile(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const Walk walk(op.g);
  const Parts parts = conv2d_register_tile_parts(op);
  auto* sums = static_cast<float*>(workspace);
  with_weight_tile(op.g, is_fused(op),
                   [&]<class Tile, bool kFused>(Type<Tile>, std::bool_constant<kFused>) {
                     const std::int64_t rows = op.dweight == nullptr ? 1 : walk.taps_channels;
                     launch({.grid = tiles_for<Tile>(rows, walk.filters, parts.count * op.g.groups),
                             .block = Tile::kThreads,
                             .shared_bytes = sizeof(typename Tile::Storage),
                             .stream = stream},
                            conv2d_backward_weight_patch_per_thread_and_part<T, Tile, kFused>, op,
                            walk, packs_of<T>(op, walk), sums, parts);
                   });
  add_parts<T>(op, sums, parts.count, stream);
}

}  // namespace convoy::CONVOY_TARGET
