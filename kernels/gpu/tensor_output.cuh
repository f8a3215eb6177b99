// SPDX-License-Identifier: MIT
#pragma once
// What becomes of a tile's sums on the tensor cores: through shared memory, so that each thread has
// neighbours of one row, and a warp writes whole lines.
//
//   store_tile<T, Tile>(s, sums, output, m, n);     // every thread of the block

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/tensor_tile.cuh"

namespace convoy::CONVOY_TARGET {

struct TensorOutput {
  void* y;           // [rows, columns], rows `pitch` apart
  const void* bias;  // [columns], may be null
  std::int64_t rows, columns, pitch;
  bool accumulate;
  bool in_f32;  // y is f32, else of the factors' type
  int width;    // kPack or 1: elements that one access moves

  static constexpr int kPack = 4;
};

// Whether rows of `columns` elements, `pitch` apart, are packs of kPack from `place` on.
inline bool takes_packs(const void* place, std::int64_t columns, std::int64_t pitch,
                        std::size_t bytes) {
  constexpr int kPack = TensorOutput::kPack;
  return (static_cast<std::size_t>(columns) | static_cast<std::size_t>(pitch)) % kPack == 0 &&
         reinterpret_cast<std::uintptr_t>(place) % (kPack * bytes) == 0;
}

template <class T, class Out, int N>
__device__ __forceinline__ void store_run(const TensorOutput& out, std::int64_t row,
                                          std::int64_t column, const float* sums) {
  float v[N], more[N];
  for (int i = 0; i < N; ++i) v[i] = sums[i];
  if (out.bias != nullptr) {
    load_floats(static_cast<const T*>(out.bias) + column, more);
    for (int i = 0; i < N; ++i) v[i] += more[i];
  }
  Out* y = static_cast<Out*>(out.y) + row * out.pitch + column;
  if (out.accumulate) {
    load_floats(y, more);
    for (int i = 0; i < N; ++i) v[i] += more[i];
  }
  store_floats(y, v);
}

template <class T, int N>
__device__ __forceinline__ void store_run(const TensorOutput& out, std::int64_t row,
                                          std::int64_t column, const float* sums) {
  if (!inside(column / N, out.columns / N)) return;
  if (out.in_f32) return store_run<T, float, N>(out, row, column, sums);
  store_run<T, T, N>(out, row, column, sums);
}

template <class Tile>
__device__ __forceinline__ void share_sums(typename Tile::Storage& s,
                                           const TensorSums<Tile>& sums) {
  const int m = warp_index() / Tile::kAcross * Tile::kWarpM + lane_index() / 4;
  const int n = warp_index() % Tile::kAcross * Tile::kWarpN + lane_index() % 4 * 2;
  for (int i = 0; i < Tile::kWarpM / 16; ++i) {
    for (int j = 0; j < Tile::kWarpN / 8; ++j) {
      const auto& of = sums.of[i][j];
      for (int half = 0; half < 2; ++half) {
        store_lanes(&s.sums[m + 16 * i + 8 * half][n + 8 * j],
                    Lanes<float, 2>{of[2 * half], of[2 * half + 1]});
      }
    }
  }
}

template <class T, class Tile>
__device__ __forceinline__ void store_tile(typename Tile::Storage& s, const TensorSums<Tile>& sums,
                                           const TensorOutput& out, int m, int n) {
  constexpr int kPack = TensorOutput::kPack, kAcross = Tile::kN / kPack;
  __syncthreads();  // all have left the last stage
  share_sums<Tile>(s, sums);
  __syncthreads();
  const int column = static_cast<int>(threadIdx.x) % kAcross * kPack;
  const int first = static_cast<int>(threadIdx.x) / kAcross;
  for (int row = first; row < Tile::kM; row += Tile::kThreads / kAcross) {
    if (!inside(m + row, out.rows)) return;
    const float* of = &s.sums[row][column];
    if (out.width == kPack) {
      store_run<T, kPack>(out, m + row, n + column, of);
    } else {
      for (int i = 0; i < kPack; ++i) store_run<T, 1>(out, m + row, n + column + i, of + i);
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
