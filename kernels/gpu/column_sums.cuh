// SPDX-License-Identifier: MIT
#pragma once
// Two sums over the rows of every column of [rows, columns], for statistics and for the gradients
// of what was applied along a column. Threads take packs of N columns as in column_pass.cuh; those
// of a block that have the same pack share the rows out, and so do blocks where there are few.
//
//   struct Moments {              // what is summed
//     template <int N>
//     struct Pack {               // of N columns, from column c on
//       static constexpr int kAtOnce = 4;   // rows that are asked for before the first is used
//       struct Fetched { ... };
//       __device__ Pack(const Moments& all, std::int64_t c);
//       __device__ Fetched ask(std::int64_t row, std::int64_t element) const;
//       __device__ void take(const Fetched&, std::int64_t element, LongSum (&first)[N],
//                            LongSum (&second)[N]) const;
//     };
//   };
//   const RowSplits splits = row_splits(rows, columns, device);
//   double* partial = ...;        // splits.bytes(columns) of workspace
//   launch_column_sums<N>(moments, rows, columns, splits, partial, stream);
//   launch_finish(columns, stream, finish, ..., partial, splits.count);
//   // and in that kernel, which has __launch_bounds__(kFinishThreads):
//   const ColumnSums sums = column_sums(partial, splits, columns);   // of channel_to_join()
//   if (!has_column(columns)) return;

#include <algorithm>

#include "kernels/gpu/column_pass.cuh"
#include "kernels/gpu/join_tiles.cuh"
#include "kernels/gpu/long_sum.cuh"

namespace convoy::CONVOY_TARGET {

struct RowSplits {
  std::int64_t rows;  // of a split
  unsigned count;
  std::size_t bytes(std::int64_t columns) const {
    return 2 * count * static_cast<std::size_t>(columns) * sizeof(double);
  }
};

// As many blocks as a multiprocessor has at once: another round of a few would take as long as the
// first. Whatever the packs: a plan does not know them.
inline constexpr int kSumBlocks = 2;
inline RowSplits row_splits(std::int64_t rows, std::int64_t columns, const Device& device) {
  constexpr std::int64_t kColumnsPerBlock = 256, kWorth = 64, kMostSplits = 512;
  const std::int64_t blocks = std::max<std::int64_t>(1, blocks_for(columns, kColumnsPerBlock));
  const std::int64_t wanted = kSumBlocks * multiprocessor_count(device) / blocks;
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

// The rows of this thread in [begin, end), of the columns from `column` on.
template <int N, class Pack>
__device__ __forceinline__ void sum_rows(const Pack& pack, const Passage& p, std::int64_t begin,
                                         std::int64_t end, std::int64_t column, LongSum (&first)[N],
                                         LongSum (&second)[N]) {
  const std::int64_t down = p.down();
  const auto at = [&](std::int64_t row) { return row * p.channels + column; };
  std::int64_t r = begin + static_cast<int>(threadIdx.x) / p.across;
  for (; r + (Pack::kAtOnce - 1) * down < end; r += Pack::kAtOnce * down) {
    typename Pack::Fetched fetched[Pack::kAtOnce];
    CONVOY_UNROLL
    for (int k = 0; k < Pack::kAtOnce; ++k) fetched[k] = pack.ask(r + k * down, at(r + k * down));
    CONVOY_UNROLL
    for (int k = 0; k < Pack::kAtOnce; ++k) pack.take(fetched[k], at(r + k * down), first, second);
  }
  for (; inside(r, end); r += down) pack.take(pack.ask(r, at(r)), at(r), first, second);
}

// partial[split][which][column]
template <int N, class Terms>
__global__ void __launch_bounds__(kPassThreads, kSumBlocks)
    sum_columns(Terms terms, Passage p, std::int64_t split_rows, double* partial) {
  begin_kernel();
  auto& s = shared<ColumnStorage<N>>();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t mine = my_pack(p), packs = p.channels / N;
  LongSum first[N], second[N];
  if (inside(mine, packs)) {
    typename Terms::template Pack<N> pack(terms, mine * N);
    const std::int64_t begin = blockIdx.x * split_rows, end = min(begin + split_rows, p.rows);
    sum_rows(pack, p, begin, end, mine * N, first, second);
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

// Both sums of the column of this thread's lane, in the block's first warp. Every thread calls.
struct ColumnSums {
  double first = 0, second = 0;

  __device__ __forceinline__ void join(const ColumnSums& other) {
    first += other.first;
    second += other.second;
  }
};
inline constexpr int kFinishThreads = kJoinWarps * kWarp;

__device__ __forceinline__ ColumnSums column_sums(const double* partial, unsigned splits,
                                                  std::int64_t columns) {
  const std::int64_t c = channel_to_join();
  return join_tiles<ColumnSums>(splits, inside(c, columns), [&](std::int64_t split) {
    const double* of_split = partial + split * 2 * columns + c;
    return ColumnSums{of_split[0], of_split[columns]};
  });
}
__device__ __forceinline__ bool has_column(std::int64_t columns) {
  return inside(channel_to_join(), columns) && warp_index() == 0;
}
template <class... Parameters, class... Arguments>
void launch_finish(std::int64_t columns, const Stream& stream, void (*kernel)(Parameters...),
                   Arguments&&... arguments) {
  launch_join<ColumnSums>(columns, stream, kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace convoy::CONVOY_TARGET
