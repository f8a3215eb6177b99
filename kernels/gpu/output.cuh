// SPDX-License-Identifier: MIT
#pragma once
// Where the finished sums of a matrix product go, and what is added to them on the way. Sums that
// were split along the depth wait in the workspace, and are added in the order of the splits: the
// same bits each time.

#include "kernels/gpu/epilogue.cuh"
#include "kernels/gpu/join_tiles.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

struct Output {
  void* y;          // products of [rows, columns]
  bool in_f32;      // y is f32, else of the factors' type
  bool accumulate;  // y += the sums
  int width;        // kPack or 1: elements that one access moves
  std::int64_t products, rows, columns;
  std::int64_t pitch, product_step;  // elements of y from row to row, from product to product
  Epilogue epilogue = {};            // its statistics come from `totals`
  std::int64_t bias_step = 0;        // elements of bias from product to product
  GradientEpilogue gradient = {};    // its sums come from `totals`

  // [rows of tiles, 2, products, columns]: see ColumnTotals. Several products that have totals are
  // groups of a convolution, whose channels together are a row of it.
  float* totals = nullptr;

  static constexpr int kPack = 4;
};

// Whether elements of `bytes` are packs of kPack where each of `distances` is a step between packs.
template <class... Distances>
bool takes_packs(const void* place, std::size_t bytes, Distances... distances) {
  return reinterpret_cast<std::uintptr_t>(place) % (Output::kPack * bytes) == 0 &&
         (distances | ...) % Output::kPack == 0;
}

// What one thread gathers of a few columns as it stores its rows, for the norm in front or behind:
//
//   statistics        the sum of value - origin, with the first value as the origin; once that
//                     gives the mean, it is the origin of a second pass over the values
//   input gradient    the sums of g and of g * (raw - mean)
struct ColumnTotals {
  static constexpr int kColumns = Output::kPack;
  float origin[kColumns] = {}, first[kColumns] = {}, second[kColumns] = {};
  int rows = 0;

  __device__ __forceinline__ void add_value(int column, float value) {
    if (rows == 0) origin[column] = value;
    first[column] += value - origin[column];
  }
  __device__ __forceinline__ void add_gradient(int column, float g, float apart) {
    first[column] += g;
    second[column] = fmaf(g, apart, second[column]);
  }
};

// Stores N neighbours along a row, all of them inside, and adds them to the totals of the columns
// from `total` on; v becomes what is stored.
template <class T, class Y, int N>
__device__ __forceinline__ void store_as(const Output& out, std::int64_t product, std::int64_t row,
                                         std::int64_t column, float (&v)[N], ColumnTotals& totals,
                                         int total) {
  const std::int64_t channel = product * out.product_step + column, i = row * out.pitch + channel;
  Y* const y = static_cast<Y*>(out.y);
  finish_sums<T>(out.epilogue, y, i, product * out.bias_step + column, out.accumulate, v);
  if (out.gradient.addend != nullptr) add_array<T>(out.gradient.addend, i, v);
  const bool masks = out.gradient.raw != nullptr;
  float apart[N] = {};
  if (masks) mask<T>(out.gradient, i, channel, v, apart);
  store_floats(y + i, v);
  if (out.totals == nullptr) return;
  for (int j = 0; j < N; ++j) {
    v[j] = widen(narrow<Y>(v[j]));
    if (masks) {
      totals.add_gradient(total + j, v[j], apart[j]);
    } else {
      totals.add_value(total + j, v[j]);
    }
  }
}

template <class T, int N>
__device__ __forceinline__ void store_run(const Output& out, std::int64_t product, std::int64_t row,
                                          std::int64_t column, float (&v)[N], ColumnTotals& totals,
                                          int total = 0) {
  if (out.in_f32) return store_as<T, float>(out, product, row, column, v, totals, total);
  store_as<T, T>(out, product, row, column, v, totals, total);
}

inline std::size_t totals_bytes(const Output& out, std::int64_t rows_of_tiles) {
  return static_cast<std::size_t>(rows_of_tiles * 2 * out.products * out.columns) * sizeof(float);
}

// ---- sums that were split along the depth: [splits, products, rows, columns] ----

inline std::int64_t elements(const Output& out) { return out.products * out.rows * out.columns; }
// Of sums of all of it, in so many splits.
inline std::size_t splits_bytes(const Output& out, std::int64_t splits) {
  return static_cast<std::size_t>(splits * elements(out)) * sizeof(float);
}

// Partial sums as an output of their own; each split has as many products.
inline Output partial_output(const Output& out, void* sums) {
  const int width = out.columns % Output::kPack == 0 ? Output::kPack : 1;
  return {.y = sums,
          .in_f32 = true,
          .accumulate = false,
          .width = width,
          .products = out.products,
          .rows = out.rows,
          .columns = out.columns,
          .pitch = out.columns,
          .product_step = out.rows * out.columns};
}

// A pack of a split's sums.
template <int N>
struct SplitSums {
  float of[N] = {};

  __device__ __forceinline__ void join(const SplitSums& other) {
    for (int j = 0; j < N; ++j) of[j] += other.of[j];
  }
};
template <int N>
__device__ __forceinline__ SplitSums<N> sums_of_split(const Output& out, const float* sums,
                                                      std::int64_t split, std::int64_t pack) {
  SplitSums<N> mine;
  load_floats(sums + split * out.products * out.rows * out.columns + pack * N, mine.of);
  return mine;
}
template <class T, int N>
__device__ __forceinline__ void store_joined(const Output& out, std::int64_t pack,
                                             SplitSums<N>& all) {
  const std::int64_t row = pack * N / out.columns, column = pack * N % out.columns;
  ColumnTotals unused;
  store_run<T>(out, row / out.rows, row % out.rows, column, all.of, unused);
}

// Of a few splits a thread adds all. Static, as is its launch: two files have it, and g++ lists the
// entries of __launch_bounds__ in one section of an object, which may not name what the linker
// drops for another object's sake.
constexpr int kFewSplits = 8;
template <class T, int N>
static __global__ void __launch_bounds__(kFlatThreads)
    add_splits(Output out, const float* sums, int splits) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, out.products * out.rows * out.columns / N)) return;
  SplitSums<N> all;
  for (int split = 0; split < splits; ++split) all.join(sums_of_split<N>(out, sums, split, i));
  store_joined<T>(out, i, all);
}

// Of many the warps of a block share them: one after the other, they would be waited for hundreds
// of times.
template <class T, int N>
static __global__ void __launch_bounds__(kJoinWarps* kWarp)
    join_splits(Output out, const float* sums, int splits) {
  begin_kernel();
  const std::int64_t i = channel_to_join();
  const bool works = inside(i, out.products * out.rows * out.columns / N);
  auto all = join_tiles<SplitSums<N>>(
      splits, works, [&](std::int64_t split) { return sums_of_split<N>(out, sums, split, i); });
  if (works && warp_index() == 0) store_joined<T>(out, i, all);
}

template <class T, int N>
static void add_packs_of_splits(const Output& out, const float* sums, int splits,
                                const Stream& stream) {
  const std::int64_t packs = elements(out) / N;
  if (splits > kFewSplits) {
    return launch_join<SplitSums<N>>(packs, stream, join_splits<T, N>, out, sums, splits);
  }
  launch({.grid = blocks_for(packs, kFlatThreads), .block = kFlatThreads, .stream = stream},
         add_splits<T, N>, out, sums, splits);
}
template <class T>
static void add_splits_to(const Output& out, const void* sums, int splits, const Stream& stream) {
  const auto* from = static_cast<const float*>(sums);
  if (out.width == Output::kPack) {
    return add_packs_of_splits<T, Output::kPack>(out, from, splits, stream);
  }
  add_packs_of_splits<T, 1>(out, from, splits, stream);
}

}  // namespace convoy::CONVOY_TARGET
