// SPDX-License-Identifier: MIT
#pragma once
// How a tile of halo (kernels/gpu/conv2d/halo.cuh) multiplies f32. A thread has 8 x 4 sums in its
// registers, and takes four of the depth at a time: eight pixels' and four columns' chunks from
// shared memory for 128 multiply-adds. The lanes of a warp stand 8 x 4 in its 64 x 16, side by
// side.

#include "kernels/gpu/conv2d/halo_weight_tile.cuh"
#include "kernels/gpu/major.h"

namespace convoy::CONVOY_TARGET {

template <class Tile, Major kMajor>
struct PatchSums {
  float of[Tile::kRows][Tile::kColumns] = {};
};

template <int kOfRows, int kOfColumns, int kDepth>
struct HaloPatchTile {
  static constexpr int kM = kOfRows, kN = kOfColumns;
  static constexpr int kK = kDepth;  // channels of a slab: of all taps
  static constexpr int kChunks = kK / kOfChunk<float>;
  static constexpr int kWarpM = 64, kWarpN = 16, kAcross = kN / kWarpN;
  static constexpr int kThreads = kWarp * (kM / kWarpM) * kAcross;
  static constexpr int kStages = 2;
  static constexpr int kWeights = kHaloTaps * kN * kChunks;  // chunks of a slab
  template <Major kMajor>
  using Sums = PatchSums<HaloPatchTile, kMajor>;

  // Those of a thread.
  static constexpr int kRows = 8, kColumns = 4;
  static __device__ __forceinline__ int row(int i) {
    return warp_index() / kAcross * kWarpM + 8 * i + lane_index() / kColumns;
  }
  // The four lanes of a row look up two each.
  static __device__ __forceinline__ void find_rows(const Halo& halo, int m,
                                                   HaloRow (&rows)[kRows]) {
    constexpr int kMine = kRows / kColumns;
    const int lane = lane_index(), first = lane % kColumns * kMine;
    unsigned mine[kMine];
    for (int i = 0; i < kMine; ++i) mine[i] = halo.taps_inside(m + row(first + i));
    for (int i = 0; i < kRows; ++i) {
      const int from = lane / kColumns * kColumns + i / kMine;
      rows[i] = {row(i), __shfl_sync(~0u, mine[i % kMine], from)};
    }
  }
  // Its columns are one chunk where a chunk of the weights is columns, else every fourth: what the
  // lanes read together is then in different banks.
  template <Major kMajor>
  static __device__ __forceinline__ int column(int j) {
    const int lane = lane_index() % kColumns;
    const int mine = kMajor == Major::mn ? lane * kColumns + j : lane + j * kColumns;
    return warp_index() % kAcross * kWarpN + mine;
  }

  // When all slabs are multiplied, the sums take their place.
  struct Storage {
    float sums[kM][kN + 8];
  };
};
struct HaloPatchTiles {
  using Of16 = HaloPatchTile<128, 16, 16>;
  using Of32 = HaloPatchTile<128, 32, 8>;
  using Of64 = HaloPatchTile<64, 64, 8>;
};

__device__ __forceinline__ const float* floats(const Chunk* chunk) {
  return reinterpret_cast<const float*>(chunk);
}

// A chunk of the depth of this thread's columns.
template <class Tile, Major kMajor>
__device__ __forceinline__ void load_columns(float (&b)[kOfChunk<float>][Tile::kColumns],
                                             const Chunk* of_tap, int chunk) {
  if constexpr (kMajor == Major::mn) {
    constexpr int kAcross = Tile::kN / kOfChunk<float>;
    const int mine = Tile::template column<kMajor>(0) / kOfChunk<float>;
    for (int k = 0; k < kOfChunk<float>; ++k) {
      const int line = chunk * kOfChunk<float> + k;
      load_floats(floats(&of_tap[chunk_place<kAcross>(0, line, mine)]), b[k]);
    }
  } else {
    for (int j = 0; j < Tile::kColumns; ++j) {
      float v[kOfChunk<float>];
      const int line = Tile::template column<kMajor>(j);
      load_floats(floats(&of_tap[chunk_place<Tile::kChunks>(0, line, chunk)]), v);
      for (int k = 0; k < kOfChunk<float>; ++k) b[k][j] = v[k];
    }
  }
}

// Adds all taps of one slab.
template <class Tile, class Slabs, Major kMajor>
__device__ __forceinline__ void multiply_taps(const Slabs& slabs, int slab,
                                              const HaloRow (&rows)[Tile::kRows],
                                              PatchSums<Tile, kMajor>& sums) {
  for (int tap = 0; tap < kHaloTaps; ++tap) {
    const Chunk* const of_tap = slabs.stages.other(slab) + tap * (Tile::kWeights / kHaloTaps);
    const int distance = slabs.pass.halo.distance(tap);
    const Chunk* pixels[Tile::kRows];
    for (int i = 0; i < Tile::kRows; ++i) {
      pixels[i] = slabs.stages.template in_span<Tile::kChunks>(slab, rows[i].line + distance,
                                                               rows[i].has(tap));
    }
    CONVOY_UNROLL
    for (int chunk = 0; chunk < Tile::kChunks; ++chunk) {
      float a[Tile::kRows][kOfChunk<float>], b[kOfChunk<float>][Tile::kColumns];
      for (int i = 0; i < Tile::kRows; ++i) load_floats(floats(pixels[i] + chunk), a[i]);
      load_columns<Tile, kMajor>(b, of_tap, chunk);
      CONVOY_UNROLL
      for (int k = 0; k < kOfChunk<float>; ++k) {
        for (int i = 0; i < Tile::kRows; ++i) {
          for (int j = 0; j < Tile::kColumns; ++j) sums.of[i][j] += a[i][k] * b[k][j];
        }
      }
    }
  }
}

template <class Tile, Major kMajor>
__device__ __forceinline__ void share_sums(typename Tile::Storage& s,
                                           const PatchSums<Tile, kMajor>& sums) {
  for (int i = 0; i < Tile::kRows; ++i) {
    float* const row = s.sums[Tile::row(i)];
    if constexpr (kMajor == Major::mn) {
      store_floats(&row[Tile::template column<kMajor>(0)], sums.of[i]);
    } else {
      for (int j = 0; j < Tile::kColumns; ++j) {
        row[Tile::template column<kMajor>(j)] = sums.of[i][j];
      }
    }
  }
}

// ---- the weights' gradient ----
//
// A lane has 4 filters and 2 channels of each tap in its registers: the filters of a pixel are a
// chunk, the channels half of one. Of four neighbouring pixels the taps of a line are six places in
// a row, which serve twelve times.

inline constexpr int kGroupOfPixels = 4;

// The taps of four pixels that are inside of the image.
struct GroupTaps {
  unsigned of[kGroupOfPixels];

  // Lane `first` and the next three have their bits.
  __device__ __forceinline__ GroupTaps(unsigned mine, int first) {
    for (int i = 0; i < kGroupOfPixels; ++i) of[i] = __shfl_sync(~0u, mine, first + i);
  }
  __device__ __forceinline__ bool has(int i, int tap) const { return (of[i] >> tap & 1) != 0; }
};
struct AllTaps {
  static __device__ constexpr bool has(int, int) { return true; }
};

// `x` and `dy`: where the lane's channels and filters of the first pixel begin.
template <class Tile, class Taps>
__device__ __forceinline__ void multiply_group(const Halo& halo, const Taps& taps, const float* x,
                                               const float* dy, HaloSums& sums) {
  constexpr int kPixel = span_place<Tile::kChunksB>(1, 0) * kOfChunk<float>;
  constexpr int kOutput = span_place<Tile::kChunksA>(1, 0) * kOfChunk<float>;
  float filters[kGroupOfPixels][4];
  for (int i = 0; i < kGroupOfPixels; ++i) load_floats(dy + i * kOutput, filters[i]);
  CONVOY_UNROLL
  for (int r = 0; r < kHaloSide; ++r) {
    const float* const line = x + halo.distance(kHaloSide * r) * kPixel;
    float channels[kGroupOfPixels + kHaloSide - 1][2];
    for (int i = 0; i < kGroupOfPixels + kHaloSide - 1; ++i) {
      load_floats(line + i * kPixel, channels[i]);
    }
    for (int i = 0; i < kGroupOfPixels; ++i) {
      for (int s = 0; s < kHaloSide; ++s) {
        if (!taps.has(i, kHaloSide * r + s)) continue;
        for (int j = 0; j < 8; ++j) {
          sums.of[kHaloSide * r + s][j / 4][j % 4] += channels[i + s][j / 4] * filters[i][j % 4];
        }
      }
    }
  }
}

// Adds as many pixels as a warp has lanes, from `pixel` of the tile on.
template <class Tile, class Pixels>
requires(!Tile::kOfHalves) __device__ __forceinline__
    void multiply_pixels(const Pixels& pixels, int tile, int pixel, HaloSums& sums) {
  const Halo& halo = pixels.pass.halo;
  const int lane = lane_index();
  const unsigned mine = halo.taps_inside(tile * Tile::kPixels + pixel + lane);
  const unsigned whole = __ballot_sync(~0u, mine == (1u << kHaloTaps) - 1);
  const float* const x = floats(pixels.stages.span(tile)) + Tile::channel() + lane % 8 * 2;
  const float* const dy = floats(pixels.stages.other(tile)) + Tile::filter() + lane / 8 * 4;
  for (int first = 0; first < kWarp; first += kGroupOfPixels) {
    const int line = pixel + first;
    const float* const of_x = x + span_place<Tile::kChunksB>(line, 0) * kOfChunk<float>;
    const float* const of_dy = dy + span_place<Tile::kChunksA>(line, 0) * kOfChunk<float>;
    constexpr unsigned kAll = (1u << kGroupOfPixels) - 1;
    if ((whole >> first & kAll) == kAll) {
      multiply_group<Tile>(halo, AllTaps{}, of_x, of_dy, sums);
    } else {
      multiply_group<Tile>(halo, GroupTaps(mine, first), of_x, of_dy, sums);
    }
  }
}

// Of the square that begins at (filter, channel).
template <class Tile>
requires(!Tile::kOfHalves) __device__ __forceinline__
    void store_square(const HaloPartSums& to, std::int64_t product, int filter, int channel,
                      const HaloSums& sums) {
  const int f = filter + lane_index() / 8 * 4, c = channel + lane_index() % 8 * 2;
  for (int i = 0; i < 4 * kHaloTaps; ++i) {
    const int tap = i / 4;
    store_lanes(to.at(product, f + i % 4, tap, c),
                Lanes<float, 2>{sums.of[tap][0][i % 4], sums.of[tap][1][i % 4]});
  }
}

}  // namespace convoy::CONVOY_TARGET
