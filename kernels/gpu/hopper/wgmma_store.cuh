// SPDX-License-Identifier: MIT
#pragma once
// What the products by wgmma share, third part: a warpgroup's 64 rows of sums on their way to
// memory. The result is that of a Gemm; a convolution makes one of its own.

#include "kernels/gpu/gemm/operands.cuh"
#include "kernels/gpu/hopper/wgmma_tile.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/tma.cuh"

namespace convoy::CONVOY_TARGET {

// Through shared memory: whole lines, and the next tile need not wait for them.
template <class Config>
__device__ __forceinline__ void store_staged(typename Config::Storage& s, int consumer,
                                             float (&d)[Config::kN / 2], const TensorMap& c,
                                             const Gemm& op, WgmmaTile tile) {
  using T = typename Config::T;
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  T* staged = s.c[consumer];
  const unsigned barrier = 1 + static_cast<unsigned>(consumer);
  if (thread == 0) tma_store_wait_read<0>();  // the tile before
  named_barrier_sync(barrier, 128);
  const GemmOperands<T> at(op, tile.product);
  const int rows = static_cast<int>(op.M), columns = static_cast<int>(op.N);
  const int first_row = tile.m + 64 * consumer + thread / 32 * 16 + lane / 4;
  const auto pack = [&](int i) {
    const int m = first_row + 8 * (i / 2 % 2), n = tile.n + i / 4 * 8 + lane % 4 * 2;
    float pair[2] = {d[i], d[i + 1]};
    if (inside(m, rows) && inside(n / 2, columns / 2)) {
      finish_sums<T>(op.epilogue, static_cast<const T*>(op.c), at.place(op, m, n), n, false, pair);
    }
    return narrow<T>(pair[0]).bits | unsigned{narrow<T>(pair[1]).bits} << 16;
  };
  // Lanes 0 to 15 name the rows of 8 columns, 16 to 31 those of the next 8.
  const int row = thread / 32 * 16 + lane % 16;
  CONVOY_UNROLL
  for (int j = 0; j < Config::kN / 8; j += 2) {
    const unsigned fragment[4] = {pack(4 * j), pack(4 * j + 2), pack(4 * j + 4), pack(4 * j + 6)};
    const int unit = j + lane / 16;
    stmatrix(staged + unit / 8 * 64 * 64 + row * 64 + (unit % 8 ^ row % 8) * 8, fragment);
  }
  fence_proxy_async();
  named_barrier_sync(barrier, 128);
  if (thread == 0) {
    for (int n = 0; n < Config::kN; n += 64) {
      tma_store(c, staged + n * 64, {tile.n + n, tile.m + 64 * consumer, tile.product, 0});
    }
    tma_store_commit();
  }
}

// Straight from the registers: c of any alignment and type, with what is there before.
template <class Config>
__device__ __forceinline__ void store_plainly(const Gemm& op, int consumer,
                                              const float (&d)[Config::kN / 2], WgmmaTile tile) {
  const GemmOperands<typename Config::T> at(op, tile.product);
  const int rows = static_cast<int>(op.M), columns = static_cast<int>(op.N);
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  const int first_row = tile.m + 64 * consumer + thread / 32 * 16 + lane / 4;
  const int first_column = tile.n + lane % 4 * 2;
  CONVOY_UNROLL
  for (int i = 0; i < Config::kN / 2; ++i) {
    const int m = first_row + 8 * (i / 2 % 2), n = first_column + 8 * (i / 4) + i % 2;
    if (inside(m, rows) && inside(n, columns)) at.store(op, m, n, d[i]);
  }
}

// Pairs of f32 sums into rows of `pitch`, by boxes of 64 columns: columns(box) says where the box
// goes in a row, and how many of it there are, an even number.
template <class Config, class Columns>
__device__ __forceinline__ void store_sums(float* sums, int rows, std::int64_t pitch, int consumer,
                                           const float (&d)[Config::kN / 2], WgmmaTile tile,
                                           Columns columns) {
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  const int first_row = tile.m + 64 * consumer + thread / 32 * 16 + lane / 4;
  CONVOY_UNROLL
  for (int box = 0; box < Config::kN / 64; ++box) {
    const auto [first, count] = columns(tile.n / 64 + box);
    CONVOY_UNROLL
    for (int i = 0; i < 32; i += 2) {
      const int m = first_row + 8 * (i / 2 % 2), n = 8 * (i / 4) + lane % 4 * 2;
      if (!inside(m, rows) || !inside(n / 2, count / 2)) continue;
      store_lanes(sums + m * pitch + first + n,
                  Lanes<float, 2>{d[32 * box + i], d[32 * box + i + 1]});
    }
  }
}

// `staged`: c leaves through shared memory by the copy engine.
template <class Config>
__device__ __forceinline__ void store_tile(typename Config::Storage& s, int consumer,
                                           float (&d)[Config::kN / 2], const TensorMap& c,
                                           const Gemm& op, bool staged, WgmmaTile tile) {
  if (staged) return store_staged<Config>(s, consumer, d, c, op, tile);
  store_plainly<Config>(op, consumer, d, tile);
}

}  // namespace convoy::CONVOY_TARGET
