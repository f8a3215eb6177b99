// SPDX-License-Identifier: MIT
#pragma once
// What the products by wgmma share, third part: a warpgroup's 64 rows of sums on their way to
// memory. The result is that of a Gemm; a convolution makes one of its own.

#include "kernels/gpu/gemm/operands.cuh"
#include "kernels/gpu/hopper/wgmma_tile.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "kernels/gpu/spread.cuh"

namespace convoy::CONVOY_TARGET {

// Where row and column of a warpgroup's 64 rows are staged, as the copy engine swizzles them.
__device__ __forceinline__ int staged_place(int row, int column) {
  return column / 64 * 64 * 64 + row * 64 + (column % 64 / 8 ^ row % 8) * 8 + column % 8;
}

// Four sums side by side: a quarter of the roundings, and of the waiting.
template <class Value>
__device__ __forceinline__ float sum_of_four(int count, Value value) {
  float sums[4] = {};
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int j = 0; j < 4; ++j) sums[j] += value(i + j);
  }
  for (; i < count; ++i) sums[0] += value(i);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Mean of `count` values and their squared deviations from it. Seen from the first value, so that a
// large mean rounds nothing away; what the mean's own rounding leaves is put right by the second
// sum.
template <class Value>
__device__ __forceinline__ Spread<float> spread_of_column(int count, Value value) {
  const float origin = value(0), n = static_cast<float>(count);
  const float apart = sum_of_four(count, [&](int i) { return value(i) - origin; }) / n;
  const auto deviation = [&](int i) { return value(i) - origin - apart; };
  const float left = sum_of_four(count, deviation);
  const float squares = sum_of_four(count, [&](int i) { return deviation(i) * deviation(i); });
  return {n, origin + (apart + left / n), squares - left * (left / n)};
}

// Of what this warpgroup stores: totals[rows of 64][2][columns], mean and squared deviations of
// each column, for finish_statistics (kernels/gpu/column_statistics.cuh).
template <class Config>
__device__ __forceinline__ void store_totals(const typename Config::T* staged, int consumer,
                                             float* totals, const Gemm& op, WgmmaTile tile) {
  const int rows = static_cast<int>(op.M), columns = static_cast<int>(op.N);
  const int first_row = tile.m + 64 * consumer;
  if (!inside(first_row, rows)) return;
  for (int i = static_cast<int>(threadIdx.x) % 128; i < Config::kN; i += 128) {
    if (!inside(tile.n + i, columns)) return;
    const Spread<float> column = spread_of_column(
        min(rows - first_row, 64), [&](int row) { return widen(staged[staged_place(row, i)]); });
    float* const to = totals + std::int64_t{first_row / 64} * 2 * columns + tile.n + i;
    to[0] = column.mean;
    to[columns] = column.deviations;
  }
}

// Through shared memory: whole lines, and the next tile need not wait for them. With `totals` of
// its columns, which may be null.
template <class Config>
__device__ __forceinline__ void store_staged(typename Config::Storage& s, int consumer,
                                             float (&d)[Config::kN / 2], const TensorMap& c,
                                             const Gemm& op, float* totals, WgmmaTile tile) {
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
      finish_sums<T>(op.epilogue, static_cast<const T*>(op.c), at.place(op, m, n), n, op.accumulate,
                     pair);
    }
    return narrow<T>(pair[0]).bits | unsigned{narrow<T>(pair[1]).bits} << 16;
  };
  // Lanes 0 to 15 name the rows of 8 columns, 16 to 31 those of the next 8.
  const int row = thread / 32 * 16 + lane % 16;
  CONVOY_UNROLL
  for (int j = 0; j < Config::kN / 8; j += 2) {
    const unsigned fragment[4] = {pack(4 * j), pack(4 * j + 2), pack(4 * j + 4), pack(4 * j + 6)};
    stmatrix(staged + staged_place(row, (j + lane / 16) * 8), fragment);
  }
  fence_proxy_async();
  named_barrier_sync(barrier, 128);
  if (thread == 0) {
    for (int n = 0; n < Config::kN; n += 64) {
      tma_store(c, staged + n * 64, {tile.n + n, tile.m + 64 * consumer, tile.product, 0});
    }
    tma_store_commit();
  }
  if (totals != nullptr) store_totals<Config>(staged, consumer, totals, op, tile);
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

// How c leaves: through shared memory by the copy engine, then perhaps with totals, or not.
struct WgmmaResult {
  bool staged;
  float* totals;
};
template <class Config>
__device__ __forceinline__ void store_tile(typename Config::Storage& s, int consumer,
                                           float (&d)[Config::kN / 2], const TensorMap& c,
                                           const Gemm& op, WgmmaResult result, WgmmaTile tile) {
  if (result.staged) return store_staged<Config>(s, consumer, d, c, op, result.totals, tile);
  store_plainly<Config>(op, consumer, d, tile);
}

}  // namespace convoy::CONVOY_TARGET
