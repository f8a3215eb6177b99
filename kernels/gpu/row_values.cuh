// SPDX-License-Identifier: MIT
#pragma once
// The values of one row, read once: each thread of the team (row_team.cuh) keeps its share in
// registers, packs of N elements that lie a team's width apart. Rows that are longer than a team
// holds are read again each time.
//
//   const Row<const T> from{x + row * classes, length, packed};
//   auto values = row_values<Team, N>(length, [&](std::int64_t k, float (&v)[N]) {
//     load_row(from, k, v);
//   });
//   values.each([&](std::int64_t k, float v) { sum.add(v); });
//   values.packs([&](std::int64_t k, float (&v)[N]) { store_row(to, k, v); });

#include <utility>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/row_team.cuh"

namespace convoy::CONVOY_TARGET {

// Whether every row of so many elements begins at a multiple of 16 bytes and is made of packs. A
// null array has no rows.
template <class T, class... Pointers>
bool has_packed_rows(std::int64_t length, const Pointers*... arrays) {
  return length % Packed<T>::kCount == 0 && (is_packed_aligned(arrays) && ...);
}

template <class T>
struct Row {
  T* data;
  std::int64_t length;
  bool packed;
};

// Elements [k, k + N) of the row, 0 behind its end. What lies there is read by no `each`, so that a
// mutant of these bounds reads outside of the array and changes nothing: the access checker sees it.
template <int N, class T>
__device__ __forceinline__ void load_row(const Row<const T>& row, std::int64_t k, float (&v)[N]) {
  for (float& e : v) e = 0;
  if (row.packed) {
    if (inside(k / N, row.length / N)) load_floats(row.data + k, v);
  } else {
    for (int j = 0; j < N; ++j) {
      if (inside(k + j, row.length)) v[j] = widen(row.data[k + j]);
    }
  }
}
template <int N, class T>
__device__ __forceinline__ void store_row(const Row<T>& row, std::int64_t k, const float (&v)[N]) {
  if (row.packed) {
    if (inside(k / N, row.length / N)) store_floats(row.data + k, v);
  } else {
    for (int j = 0; j < N; ++j) {
      if (inside(k + j, row.length)) row.data[k + j] = narrow<T>(v[j]);
    }
  }
}

// v joins what is there already where it accumulates.
template <int N, class T>
__device__ __forceinline__ void put_row(const Row<T>& row, std::int64_t k, float (&v)[N],
                                        bool accumulate) {
  if (accumulate) {
    float old[N];
    load_row(Row<const T>{row.data, row.length, row.packed}, k, old);
    for (int j = 0; j < N; ++j) v[j] += old[j];
  }
  store_row(row, k, v);
}

// The values of kArrays rows of one length. load(k, v...) fills N elements of each from k on.
template <class Team, int N, int kArrays, class Load>
class RowValues {
  static constexpr int kPacks = Team::kHolds ? Team::kValues / N : 1;
  using Arrays = std::make_integer_sequence<int, kArrays>;
  using Packs = std::make_integer_sequence<int, kPacks>;

 public:
  __device__ __forceinline__ RowValues(std::int64_t length, Load load)
      : length_(length), load_(load) {
    if constexpr (Team::kHolds) call_each(load_, Packs{});
  }
  // f(k, v...) for each of the thread's packs, those behind the row's end included.
  template <class F>
  __device__ __forceinline__ void packs(F f) {
    if constexpr (Team::kHolds) {
      call_each(f, Packs{});
    } else {
      for (std::int64_t k = place(0); k < length_; k += Team::kSize * N) {
        call(load_, k, values_[0], Arrays{});
        call(f, k, values_[0], Arrays{});
      }
    }
  }
  // f(k, value...) for each of its elements.
  template <class F>
  __device__ __forceinline__ void each(F f) {
    packs([&](std::int64_t k, auto&... v) {
      for (int j = 0; j < N; ++j) {
        if (inside(k + j, length_)) f(k + j, v[j]...);
      }
    });
  }

 private:
  __device__ static std::int64_t place(int pack) {
    return std::int64_t{pack * Team::kSize + Team::rank()} * N;
  }
  // Written out: an array that a loop indexes would lie in memory wherever the loop stays one.
  template <class F, int... p>
  __device__ __forceinline__ void call_each(F& f, std::integer_sequence<int, p...>) {
    (call(f, place(p), values_[p], Arrays{}), ...);
  }
  template <class F, int... a>
  __device__ __forceinline__ static void call(F& f, std::int64_t k, float (&v)[kArrays][N],
                                              std::integer_sequence<int, a...>) {
    f(k, v[a]...);
  }

  std::int64_t length_;
  Load load_;
  float values_[kPacks][kArrays][N];
};

template <class Team, int N, int kArrays = 1, class Load>
__device__ __forceinline__ RowValues<Team, N, kArrays, Load> row_values(std::int64_t length,
                                                                        Load load) {
  return {length, load};
}

}  // namespace convoy::CONVOY_TARGET
