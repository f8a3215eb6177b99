// SPDX-License-Identifier: MIT
#pragma once
// How a tile of halo (kernels/gpu/conv2d/halo.cuh) multiplies halves: by mma.

#include "kernels/gpu/conv2d/halo_weight_tile.cuh"
#include "kernels/gpu/tensor_tile.cuh"

namespace convoy::CONVOY_TARGET {

template <int kOfRows, int kOfColumns, int kWarpsDown, int kWarpsAcross>
struct HaloTile {
  static constexpr int kM = kOfRows, kN = kOfColumns;
  static constexpr int kK = 16;  // channels of a slab: of all taps
  static constexpr int kChunks = kK / kChunk;
  static constexpr int kAcross = kWarpsAcross;
  static constexpr int kWarpM = kM / kWarpsDown, kWarpN = kN / kWarpsAcross;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross;
  static constexpr int kStages = 2;
  static constexpr int kWeights = kHaloTaps * kN * kChunks;  // chunks of a slab
  template <Major>
  using Sums = TensorSums<HaloTile>;

  // The rows of fragments that a lane brings.
  static constexpr int kRows = kWarpM / 16;
  static __device__ __forceinline__ void find_rows(const Halo& halo, int m,
                                                   HaloRow (&rows)[kRows]) {
    const int first = warp_index() / kAcross * kWarpM + lane_index() % 16;
    for (int i = 0; i < kRows; ++i) {
      rows[i] = {first + 16 * i, halo.taps_inside(m + first + 16 * i)};
    }
  }

  // When all slabs are multiplied, the sums take their place.
  struct Storage {
    float sums[kM][kN + 8];
  };
};
struct HaloTensorTiles {
  using Of16 = HaloTile<128, 16, 4, 1>;
  using Of32 = HaloTile<128, 32, 4, 1>;
  using Of64 = HaloTile<64, 64, 2, 2>;
};

// Adds all taps of one slab.
template <class Tile, class Slabs>
__device__ __forceinline__ void multiply_taps(const Slabs& slabs, int slab,
                                              const HaloRow (&rows)[Tile::kRows],
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
    for (int i = 0; i < Tile::kRows; ++i) {
      ldmatrix(fragments.left[i],
               rows[i].template at<Tile::kChunks>(span, slabs.stages.zeros(), tap, distance,
                                                  lane_index() / 16));
    }
    fragments.template multiply<typename Pass::T>(sums);
  }
}

// ---- the weights' gradient ----

// Adds 16 pixels, from `pixel` of the tile on.
template <class Tile, class Pixels>
requires Tile::kOfHalves __device__ __forceinline__ void multiply_pixels(const Pixels& pixels,
                                                                         int tile, int pixel,
                                                                         HaloSums& sums) {
  const Halo& halo = pixels.pass.halo;
  const int lane = lane_index();
  unsigned left[4];
  ldmatrix<true>(left,
                 &pixels.stages.other(tile)[span_place<Tile::kChunksA>(
                     pixel + lane / 16 * 8 + lane % 8, Tile::filter() / kChunk + lane / 8 % 2)]);
  const int line = pixel + lane % 16, chunk = Tile::channel() / kChunk + lane / 16;
  const HaloRow row{line, halo.taps_inside(tile * Tile::kPixels + line)};
  CONVOY_UNROLL
  for (int tap = 0; tap < kHaloTaps; ++tap) {
    unsigned right[4];
    ldmatrix<true>(
        right, row.template at<Tile::kChunksB>(pixels.stages.span(tile), pixels.stages.zeros(), tap,
                                               halo.distance(tap), chunk));
    for (int j = 0; j < 2; ++j) {
      const unsigned pair[2] = {right[2 * j], right[2 * j + 1]};
      mma_m16n8k16<typename Pixels::T>(sums.of[tap][j], left, pair);
    }
  }
}

// Of the square that begins at (filter, channel).
template <class Tile>
requires Tile::kOfHalves __device__ __forceinline__ void store_square(const HaloPartSums& to,
                                                                      std::int64_t product,
                                                                      int filter, int channel,
                                                                      const HaloSums& sums) {
  const int f = filter + lane_index() / 4, c = channel + lane_index() % 4 * 2;
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 2 * kHaloTaps; ++i) {
      const int tap = i / 2;
      const auto& of = sums.of[tap][i % 2];
      store_lanes(to.at(product, f + 8 * half, tap, c + i % 2 * 8),
                  Lanes<float, 2>{of[2 * half], of[2 * half + 1]});
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
