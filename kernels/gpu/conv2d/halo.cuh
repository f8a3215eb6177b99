// SPDX-License-Identifier: MIT
#pragma once
// conv2d beside the ladder: halo
// Idea     of 3 x 3 taps the ladder's tiles bring each pixel to shared memory nine times, and norm
//          it nine times. Here a tile's pixels come once, with those around them (halo_span.cuh),
//          16 or 8 channels at a time; the taps are nine ways to address them. Tiles are as narrow
//          as the result: 16, 32 or 64 columns. Halves are multiplied by mma (halo_mma.cuh), f32 in
//          patches of 8 x 4 sums to a thread (halo_patch.cuh).
//                            rows             depth            columns
//          forward           output pixels    taps, channels   filters
//          backward input    input pixels     taps, filters    channels
//          backward weight   16 or 32 filters, 16 or 32 channels of all taps, over the pixels
//                            (halo_weight.cuh)
// Gain     of lines of 32 pixels a tile of 128 rows brings and norms each pixel one and a half
//          times instead of nine, one of 64 rows twice; the weights come once per tile.
// Limit    3 x 3 taps, stride 1, a result as large as the image, channels and filters in sixteens,
//          lines of up to 127 pixels, in f32 63. A warp multiplies 32 x 32 of halves at most: with
//          many channels and no norms, rung 4's warps of 64 x 64 read less of shared memory.

#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/halo_mma.cuh"
#include "kernels/gpu/conv2d/halo_passes.cuh"
#include "kernels/gpu/conv2d/halo_patch.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
#include "kernels/gpu/conv2d/tensor_outputs.cuh"
#include "kernels/gpu/tensor_output.cuh"

namespace convoy::CONVOY_TARGET {

// Calls f(Type<Tile>) with the tile for so many columns.
template <class T, class F>
void with_halo_tile(std::int64_t columns, F&& f) {
  using Tiles = std::conditional_t<std::is_same_v<T, float>, HaloPatchTiles, HaloTensorTiles>;
  if (columns <= 16) return f(Type<typename Tiles::Of16>{});
  if (columns <= 32) return f(Type<typename Tiles::Of32>{});
  f(Type<typename Tiles::Of64>{});
}
// Of the tile.
inline int halo_rows(std::int64_t columns) { return columns <= 32 ? 128 : 64; }

// ---- a tile ----

template <class Tile, class Pass>
struct HaloSlabs {
  using T = typename Pass::T;
  const Pass& pass;
  HaloStages<Tile::kStages> stages;
  int group, n;
  SpanStager<T, Tile::kThreads, Tile::kChunks, typename Pass::Norm> stager;

  __device__ __forceinline__ HaloSlabs(const Pass& of, const HaloRoom& room, int of_group, int m,
                                       int from_n)
      : pass(of),
        stages{room},
        group(of_group),
        n(from_n),
        stager{of.image,
               of_group,
               of.groups,
               of.depth,
               of.halo.pixels,
               m - of.halo.reach(),
               of.halo.span(Tile::kM),
               of.norm} {}

  __device__ __forceinline__ void fetch(int slab) const {
    const int channel = slab * Tile::kK;
    if (channel < pass.depth) {
      stager.fetch(stages.span(slab), stages.raw(slab), channel);
      pass.taps.template fetch<Tile>(stages.other(slab), group, n, channel);
    }
    cp_async_commit();
  }
  // Then the slab is there for all.
  __device__ __forceinline__ void await(int slab) const {
    cp_async_wait<Tile::kStages - 1>();
    stager.finish(stages.span(slab), stages.raw(slab), slab * Tile::kK);
    __syncthreads();
  }
};

template <class Tile, class Pass>
__device__ __forceinline__ void halo_tile(const Pass& pass, const HaloRoom& room,
                                          const Output& output, unsigned block) {
  using T = typename Pass::T;
  const TilePlace<Tile> tile(pass.halo.pixels, pass.columns, block);
  const HaloSlabs<Tile, Pass> slabs(pass, room, static_cast<int>(tile.product), tile.m, tile.n);
  slabs.stages.zeros().clear();
  slabs.fetch(0);
  HaloRow rows[Tile::kRows];
  Tile::find_rows(pass.halo, tile.m, rows);
  typename Tile::template Sums<Pass::Taps::kMajor> sums;
  for (int slab = 0; slab * Tile::kK < pass.depth; ++slab) {
    slabs.fetch(slab + 1);
    slabs.await(slab);
    multiply_taps<Tile>(slabs, slab, rows, sums);
    __syncthreads();  // the stage is free again
  }
  const TilePosition at{.product_of_y = tile.product,
                        .rows = pass.halo.pixels,
                        .m = tile.m,
                        .n = tile.n,
                        .row_of_tiles = tile.m / Tile::kM};
  store_tile<T, Tile>(shared<typename Tile::Storage>(), sums, output, at, [](int m) { return m; });
}

// Blocks to a multiprocessor: 512 threads; the norm's gradient on load takes more registers than
// those leave, and so do the patches of f32.
template <class Tile, class Pass>
constexpr int kHaloBlocks =
    (Pass::Norm::kHasRaw || sizeof(typename Pass::T) == 4 ? 384 : 512) / Tile::kThreads;

template <class Tile, class Pass>
__global__ void __launch_bounds__(Tile::kThreads, kHaloBlocks<Tile, Pass>)
    conv2d_halo_tile(Pass pass, HaloRoom room, Output output) {
  begin_kernel();
  halo_tile<Tile>(pass, room, output, blockIdx.x);
}

template <class Tile>
std::size_t halo_shared_bytes(const HaloRoom& room) {
  return max(static_cast<std::size_t>(room.chunks()) * sizeof(Chunk),
             sizeof(typename Tile::Storage));
}

// ---- launches ----

inline std::int64_t halo_columns(const Conv2dForward& op) { return op.g.K / op.g.groups; }
inline std::int64_t halo_columns(const Conv2dBackwardInput& op) { return op.g.C / op.g.groups; }

template <class Op>
std::size_t conv2d_halo_workspace(const Op& op) {
  if (!wants_totals(op)) return 0;
  const std::int64_t pixels = op.g.N * op.g.H * op.g.W;
  return totals_bytes(conv2d_output(op), blocks_for(pixels, halo_rows(halo_columns(op))));
}

inline void finish_halo(const Conv2dForward& op, const float* totals, const Stream& stream) {
  finish_statistics(op, totals, halo_rows(halo_columns(op)), stream);
}
inline void finish_halo(const Conv2dBackwardInput& op, const float* totals, const Stream& stream) {
  finish_gradient_sums(op, totals, halo_rows(halo_columns(op)), stream);
}

template <class T, class Op>
void conv2d_halo(const Op& op, void* workspace, const Stream& stream) {
  const auto pass = halo_pass<T>(op);
  const Output output = conv2d_output(op, workspace);
  with_halo_tile<T>(pass.columns, [&]<class Tile>(Type<Tile>) {
    const HaloRoom room = pass.template room<Tile>();
    launch({.grid = tiles_for<Tile>(pass.halo.pixels, pass.columns, pass.groups),
            .block = Tile::kThreads,
            .shared_bytes = halo_shared_bytes<Tile>(room),
            .stream = stream},
           conv2d_halo_tile<Tile, std::remove_const_t<decltype(pass)>>, pass, room, output);
  });
  if (wants_totals(op)) finish_halo(op, output.totals, stream);
}

// ---- what fits ----

// Two blocks of the largest tile of halves share a multiprocessor of 8.0; one of f32, whose pixels
// are twice as large, fits into 99 KB.
constexpr std::int64_t kMostHaloReach = 128;
inline std::int64_t most_halo_reach(DType dtype) {
  return dtype == DType::f32 ? kMostHaloReach / 2 : kMostHaloReach;
}

inline bool fits_halo(const Conv2dGeometry& g, DType dtype) {
  const bool same = g.R == kHaloSide && g.S == kHaloSide && g.stride_h == 1 && g.stride_w == 1 &&
                    g.P == g.H && g.Q == g.W;
  const bool sixteens = g.C / g.groups % 16 == 0 && g.K / g.groups % 16 == 0;
  return same && sixteens && g.dilation_h * g.W + g.dilation_w <= most_halo_reach(dtype) &&
         g.weight_shape().count() <= INT32_MAX &&
         fits_tensor_tiles(g.N * g.H * g.W + 2 * kMostHaloReach, kHaloTaps * max(g.C, g.K), 0);
}
template <class... Pointers>
bool fits_halo(const Conv2dGeometry& g, DType dtype, const Pointers*... arrays) {
  return fits_halo(g, dtype) && (is_packed_aligned(arrays) && ...);
}
inline bool conv2d_fits_halo(const Conv2dForward& op) {
  return fits_halo(op.g, op.dtype, op.x, op.weight);
}
inline bool conv2d_fits_halo(const Conv2dBackwardInput& op) {
  return fits_halo(op.g, op.dtype, op.dy, op.weight, op.prologue.raw);
}

}  // namespace convoy::CONVOY_TARGET
