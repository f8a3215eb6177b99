// SPDX-License-Identifier: MIT
#pragma once
// Two sums over the rows of every column of [rows, columns], for statistics and for the gradients
// of what was applied along a column. A warp takes 32 columns, so that it reads side by side; the
// warps of a block share the rows out, and where there are few columns so do blocks.
//
//   struct Moments { __device__ void add(std::int64_t row, std::int64_t c, LongSum& a, LongSum& b)
//   const; }; const RowSplits splits = row_splits(rows, columns, device);   // workspace:
//   splits.bytes(columns) launch_column_sums(moments, rows, columns, splits, partial, stream);
//   // then, in a kernel with a thread per column: column_total(partial, splits.count, 0, columns,
//   c)

#include <algorithm>

#include "kernels/gpu/long_sum.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

inline constexpr int kColumnWarps = 8;

struct RowSplits {
  std::int64_t rows;  // of a split
  unsigned count;
  std::size_t bytes(std::int64_t columns) const {
    return 2 * count * static_cast<std::size_t>(columns) * sizeof(double);
  }
};

inline RowSplits row_splits(std::int64_t rows, std::int64_t columns, const Device& device) {
  constexpr std::int64_t kRowsPerThread = 16, kMostSplits = 256;
  const std::int64_t blocks = std::max<std::int64_t>(1, blocks_for(columns, kWarp));
  const std::int64_t wanted = 4 * multiprocessor_count(device) / blocks;
  const std::int64_t worth = rows / (kRowsPerThread * kColumnWarps);
  const std::int64_t splits =
      std::max<std::int64_t>(1, std::min(std::min(wanted, worth), kMostSplits));
  const std::int64_t rows_each = std::max<std::int64_t>(1, (rows + splits - 1) / splits);
  return {rows_each, blocks_for(rows, rows_each)};  // of no rows: no splits, and sums of 0
}

struct ColumnStorage {
  double of_warp[2][kColumnWarps][kWarp];
};

// partial[split][which][column]
template <class Terms>
__global__ void __launch_bounds__(kColumnWarps* kWarp)
    sum_columns(Terms terms, std::int64_t rows, std::int64_t columns, std::int64_t split_rows,
                double* partial) {
  auto& s = shared<ColumnStorage>();
  const int warp = warp_index(), lane = lane_index();
  const std::int64_t c = std::int64_t{blockIdx.x} * kWarp + lane;
  const bool works = inside(c, columns);
  LongSum first, second;
  const std::int64_t begin = blockIdx.y * split_rows;
  const std::int64_t end = works ? min(begin + split_rows, rows) : 0;
  for (std::int64_t r = begin + warp; inside(r, end); r += kColumnWarps) {
    terms.add(r, c, first, second);
  }
  s.of_warp[0][warp][lane] = first.value();
  s.of_warp[1][warp][lane] = second.value();
  __syncthreads();
  if (warp > 1 || !works) return;
  double total = s.of_warp[warp][0][lane];
  for (int w = 1; w < kColumnWarps; ++w) total += s.of_warp[warp][w][lane];
  partial[(blockIdx.y * 2 + warp) * columns + c] = total;
}

template <class Terms>
void launch_column_sums(const Terms& terms, std::int64_t rows, std::int64_t columns,
                        const RowSplits& splits, double* partial, const Stream& stream) {
  launch({.grid = dim3(blocks_for(columns, kWarp), splits.count),
          .block = kColumnWarps * kWarp,
          .shared_bytes = sizeof(ColumnStorage),
          .stream = stream},
         sum_columns<Terms>, terms, rows, columns, splits.rows, partial);
}

// The first (which = 0) or second sum of column c.
__device__ __forceinline__ double column_total(const double* partial, unsigned splits, int which,
                                               std::int64_t columns, std::int64_t c) {
  double total = 0;
  for (unsigned s = 0; s < splits; ++s) total += partial[(s * 2 + which) * columns + c];
  return total;
}

}  // namespace convoy::CONVOY_TARGET
