// SPDX-License-Identifier: MIT
#pragma once
// conv2d beside the ladder: halo
// Idea     of 3 x 3 taps rung 4 brings each pixel to shared memory nine times, and norms it nine
//          times. Here a tile's pixels come once, with those around them (halo_span.cuh), 16
//          channels at a time; the taps are nine ways to address them. Tiles are as narrow as the
//          result: 16, 32 or 64 columns.
//                            rows             depth               columns
//          forward           output pixels    taps, 16 channels   filters
//          backward input    input pixels     taps, 16 filters    channels
//          backward weight   16 or 32 filters, 16 or 32 channels of all taps, over the pixels
//                            (halo_weight.cuh)
// Gain     of lines of 32 pixels a tile of 128 rows brings and norms each pixel one and a half
//          times instead of nine, one of 64 rows twice; the weights come once per tile.
// Limit    3 x 3 taps, stride 1, a result as large as the image, channels and filters in sixteens.
//          A warp multiplies 32 x 32 at most: with many channels and no norms, rung 4's warps of
//          64 x 64 read less of shared memory.

#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/halo_passes.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
#include "kernels/gpu/conv2d/tensor_outputs.cuh"
#include "kernels/gpu/tensor_output.cuh"

namespace convoy::CONVOY_TARGET {

template <int kRows, int kColumns, int kWarpsDown, int kWarpsAcross>
struct HaloTile {
  static constexpr int kM = kRows, kN = kColumns;
  static constexpr int kK = 16;  // channels of a slab: of all taps
  static constexpr int kChunks = kK / kChunk;
  static constexpr int kAcross = kWarpsAcross;
  static constexpr int kWarpM = kM / kWarpsDown, kWarpN = kN / kWarpsAcross;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross;
  static constexpr int kStages = 2;
  static constexpr int kWeights = kHaloTaps * kN * kChunks;  // chunks of a slab

  // When all slabs are multiplied, the sums take their place.
  struct Storage {
    float sums[kM][kN + 8];
  };
};
using Halo16 = HaloTile<128, 16, 4, 1>;
using Halo32 = HaloTile<128, 32, 4, 1>;
using Halo64 = HaloTile<64, 64, 2, 2>;

// Calls f(Type<Tile>) with the tile for so many columns.
template <class F>
void with_halo_tile(std::int64_t columns, F&& f) {
  if (columns <= Halo16::kN) return f(Type<Halo16>{});
  if (columns <= Halo32::kN) return f(Type<Halo32>{});
  f(Type<Halo64>{});
}
inline int halo_rows(std::int64_t columns) {
  return columns <= Halo32::kN ? Halo32::kM : Halo64::kM;
}

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

// Adds all taps of one slab.
template <class Tile, class Slabs>
__device__ __forceinline__ void multiply_taps(const Slabs& slabs, int slab,
                                              const HaloRow (&rows)[Tile::kWarpM / 16],
                                              TensorSums<Tile>& sums) {
  using Pass = std::remove_cvref_t<decltype(slabs.pass)>;
  constexpr int kFragments = Tile::kWarpN / 16;
  const int n = warp_index() % Tile::kAcross * Tile::kWarpN;
  const Chunk *const span = slabs.stages.span(slab), *const weights = slabs.stages.other(slab);
  CONVOY_UNROLL
  for (int tap = 0; tap < kHaloTaps; ++tap) {
    TensorFragments<Tile> fragments;
    const Chunk* const of_tap = weights + tap * (Tile::kWeights / kHaloTaps);
    for (int j = 0; j < kFragments; ++j) {
      load_fragment<Factor::b, Pass::Taps::kMajor, Tile::kN, Tile>(fragments.right[j], of_tap,
                                                                   n + 16 * j, 0);
    }
    const int distance = slabs.pass.halo.distance(tap);
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      ldmatrix(fragments.left[i],
               rows[i].template at<Tile::kChunks>(span, slabs.stages.zeros(), tap, distance,
                                                  lane_index() / 16));
    }
    fragments.template multiply<typename Pass::T>(sums);
  }
}

template <class Tile, class Pass>
__device__ __forceinline__ void halo_tile(const Pass& pass, const HaloRoom& room,
                                          const Output& output, unsigned block) {
  using T = typename Pass::T;
  const TilePlace<Tile> tile(pass.halo.pixels, pass.columns, block);
  const HaloSlabs<Tile, Pass> slabs(pass, room, static_cast<int>(tile.product), tile.m, tile.n);
  slabs.stages.zeros().clear();
  slabs.fetch(0);
  HaloRow rows[Tile::kWarpM / 16];
  for (int i = 0; i < Tile::kWarpM / 16; ++i) {
    const int row = warp_index() / Tile::kAcross * Tile::kWarpM + 16 * i + lane_index() % 16;
    rows[i] = {row, pass.halo.taps_inside(tile.m + row)};
  }
  TensorSums<Tile> sums;
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

// Blocks to a multiprocessor: the norm's gradient on load takes more registers than four leave.
template <class Pass>
constexpr int kHaloBlocks = Pass::Norm::kHasRaw ? 3 : 4;

template <class Tile, class Pass>
__global__ void __launch_bounds__(Tile::kThreads, kHaloBlocks<Pass>)
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
  with_halo_tile(pass.columns, [&]<class Tile>(Type<Tile>) {
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

// Two blocks of the largest tile share a multiprocessor of 8.0.
constexpr std::int64_t kMostHaloReach = 128;

inline bool fits_halo(const Conv2dGeometry& g, DType dtype) {
  const bool same = g.R == kHaloSide && g.S == kHaloSide && g.stride_h == 1 && g.stride_w == 1 &&
                    g.P == g.H && g.Q == g.W;
  const bool sixteens = g.C / g.groups % 16 == 0 && g.K / g.groups % 16 == 0;
  return dtype != DType::f32 && same && sixteens &&
         g.dilation_h * g.W + g.dilation_w <= kMostHaloReach &&
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
