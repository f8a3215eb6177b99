// SPDX-License-Identifier: MIT
#pragma once
// A team of threads works on one row: a few lanes of a warp where rows are short, so that a warp
// takes several, a warp, or a block of its own.
//
//   with_team(op.classes, [&]<class Team>(Team) {
//     launch({.grid = blocks_for(op.rows, Team::kRows), .block = Team::kThreads, ...},
//            softmax_row<T, Team>, ...);
//   });
//   // in the kernel: every thread folds, rows that are not there included
//   const std::int64_t row = Team::row();
//   for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) ...
//   const float largest = Team::fold(mine, s.largest, Maximum{});

#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

// `holds`: its threads' registers have room for a row (row_values.cuh).
template <int size, bool holds = true>
struct RowTeam {
  static constexpr bool kHolds = holds;
  static constexpr int kValues = size < kWarp ? 8 : 32;  // of a thread
  static constexpr int kSize = size;
  static constexpr int kThreads = size <= kWarp ? 4 * kWarp : size;
  static constexpr int kRows = kThreads / size;  // of a block
  // So few blocks at once leave a thread 128 registers, for kernels that hold two rows: left to
  // itself ptxas aims at fewer, and spills.
  static constexpr int kBlocks = 512 / kThreads;
  template <class T>
  using Scratch = BlockScratch<T, kThreads>;

  __device__ static std::int64_t row() {
    return std::int64_t{blockIdx.x} * kRows + static_cast<int>(threadIdx.x) / kSize;
  }
  __device__ static int rank() { return static_cast<int>(threadIdx.x) % kSize; }
  // Every thread of the block calls and gets the fold over its team. A scratch is as block_fold's.
  template <class T, class Fold>
  __device__ static T fold(T value, Scratch<T>& scratch, Fold f) {
    if constexpr (kSize <= kWarp) {
      return warp_fold<kSize>(value, f);
    } else {
      return block_fold(value, scratch, f);
    }
  }
};

// Calls f with the team for rows of this length.
template <class F>
void with_team(std::int64_t length, F&& f) {
  if (length <= 8 * RowTeam<8>::kValues) return f(RowTeam<8>{});
  if (length <= 32 * RowTeam<32>::kValues) return f(RowTeam<32>{});
  if (length <= 256 * RowTeam<256>::kValues) return f(RowTeam<256>{});
  return f(RowTeam<256, false>{});
}

}  // namespace convoy::CONVOY_TARGET
