// SPDX-License-Identifier: MIT
#pragma once
// Two sums over the rows of every column of [rows, columns], for statistics and for the gradients
// of what was applied along a column. Threads take packs of N columns as in column_pass.cuh; those
// of a block that have the same pack share the rows out, and so do blocks where there are few.
//
//   struct Moments {              // what is summed
//     template <int N>
//     struct Pack {               // of N columns, from column c on
//       __device__ Pack(const Moments& all, std::int64_t c);
//       __device__ void add(std::int64_t row, std::int64_t element, LongSum (&first)[N],
//                           LongSum (&second)[N]) const;
//     };
//   };
//   const RowSplits splits = row_splits(rows, columns, device);
//   double* partial = ...;        // splits.bytes(columns) of workspace
//   launch_column_sums<N>(moments, rows, columns, splits, partial, stream);
//   // then, in a kernel with a thread per column:
//   column_total(partial, splits.count, 0, columns, c)

#include <algorithm>

#include "kernels/gpu/column_pass.cuh"
#include "kernels/gpu/long_sum.cuh"

namespace convoy::CONVOY_TARGET {

struct RowSplits {
  std::int64_t rows;  // of a split
  unsigned count;
  std::size_t bytes(std::int64_t columns) const {
    return 2 * count * static_cast<std::size_t>(columns) * sizeof(double);
  }
};

// Whatever the packs: a plan does not know them.
inline RowSplits row_splits(std::int64_t rows, std::int64_t columns, const Device& device) {
  constexpr std::int64_t kColumnsPerBlock = 256, kWorth = 128, kMostSplits = 512;
  const std::int64_t blocks = std::max<std::int64_t>(1, blocks_for(columns, kColumnsPerBlock));
  const std::int64_t wanted = 4 * multiprocessor_count(device) / blocks;
  const std::int64_t splits =
      std::max<std::int64_t>(1, std::min(std::min(wanted, rows / kWorth), kMostSplits));
  const std::int64_t rows_each = std::max<std::int64_t>(1, (rows + splits - 1) / splits);
  return {rows_each, blocks_for(rows, rows_each)};  // of no rows: no splits, and sums of 0
}

// Sums of every thread: [which][column of the pack][thread].
template <int N>
struct ColumnStorage {
  double of_thread[2][N][kPassThreads];
};

// partial[split][which][column]
template <int N, class Terms>
__global__ void __launch_bounds__(kPassThreads)
    sum_columns(Terms terms, Passage p, std::int64_t split_rows, double* partial) {
  begin_kernel();
  auto& s = shared<ColumnStorage<N>>();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t mine = my_pack(p), packs = p.channels / N;
  LongSum first[N], second[N];
  if (inside(mine, packs)) {
    typename Terms::template Pack<N> pack(terms, mine * N);
    const std::int64_t begin = blockIdx.x * split_rows, end = min(begin + split_rows, p.rows);
    for (std::int64_t r = begin + thread / p.across; inside(r, end); r += p.down()) {
      pack.add(r, r * p.channels + mine * N, first, second);
    }
  }
  for (int j = 0; j < N; ++j) {
    s.of_thread[0][j][thread] = first[j].value();
    s.of_thread[1][j][thread] = second[j].value();
  }
  __syncthreads();
  // Of each sum, which is (which, j), the block's packs side by side.
  for (int k = thread; k < 2 * N * p.across; k += kPassThreads) {
    const int of_pack = k / p.across, which = of_pack / N, j = of_pack % N, q = k % p.across;
    const std::int64_t pack = std::int64_t{blockIdx.y} * p.across + q;
    if (!inside(pack, packs)) continue;
    double total = 0;
    for (int t = q; t < kPassThreads; t += p.across) total += s.of_thread[which][j][t];
    partial[(blockIdx.x * 2 + which) * p.channels + pack * N + j] = total;
  }
}

template <int N, class Terms>
void launch_column_sums(const Terms& terms, std::int64_t rows, std::int64_t columns,
                        const RowSplits& splits, double* partial, const Stream& stream) {
  const Passage p = passage(rows, columns, N);
  launch({.grid = dim3(splits.count, p.grid(N).y),
          .block = kPassThreads,
          .shared_bytes = sizeof(ColumnStorage<N>),
          .stream = stream},
         sum_columns<N, Terms>, terms, p, splits.rows, partial);
}

// The first (which = 0) or second sum of column c.
__device__ __forceinline__ double column_total(const double* partial, unsigned splits, int which,
                                               std::int64_t columns, std::int64_t c) {
  double total = 0;
  for (unsigned s = 0; s < splits; ++s) total += partial[(s * 2 + which) * columns + c];
  return total;
}

}  // namespace convoy::CONVOY_TARGET
