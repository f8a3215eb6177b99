// SPDX-License-Identifier: MIT
#pragma once
// The values of one row, read once: each thread of the team (row_team.cuh) keeps its share in
// registers, packs of N elements that lie a team's width apart. Rows that are longer than a team
// holds are read again each time.
//
//   const Row<const T> from{x + row * classes, length, packed};
//   auto values = row_values<Team>(from);
//   const LongSum mine = values.sum([&](float& v) { return v; });
//   values.packs([&](std::int64_t k, float (&v)[N]) { store_row(to, k, v); });
//
// All loads of a thread are on their way before it uses the first.

#include <utility>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/long_sum.cuh"
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

// Elements [k, k + N) of the row, which begin inside of it; 0 behind its end and where there is no
// row. What lies there is read by no `each`, so that a mutant of this bound reads outside of the
// array and changes nothing: the access checker sees it.
template <int N, class T>
__device__ __forceinline__ void load_row(const Row<const T>& row, std::int64_t k, float (&v)[N]) {
  for (float& e : v) e = 0;
  if (row.data == nullptr) return;
  if (row.packed) return load_floats(row.data + k, v);
  for (int j = 0; j < N; ++j) {
    if (inside(k + j, row.length)) v[j] = widen(row.data[k + j]);
  }
}
template <int N, class T>
__device__ __forceinline__ void store_row(const Row<T>& row, std::int64_t k, const float (&v)[N]) {
  if (row.packed) return store_floats(row.data + k, v);
  for (int j = 0; j < N; ++j) {
    if (inside(k + j, row.length)) row.data[k + j] = narrow<T>(v[j]);
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

// What is made of the values as they come: nothing.
struct AsTheyAre {
  template <class... V>
  __device__ __forceinline__ void operator()(std::int64_t, V&...) const {}
};

// The values of kRows rows of one length, of which all are packed or none; those of a null row are
// 0. prepare(k, v...) is given N elements of each from k on, and may change them.
template <class Team, class T, int kRows, class Prepare>
class RowValues {
  static constexpr int N = Packed<T>::kCount;
  static constexpr int kPacks = Team::kHolds ? Team::kValues / N : 1;
  using Rows = std::make_integer_sequence<int, kRows>;
  using Packs = std::make_integer_sequence<int, kPacks>;

 public:
  template <class... R>
  __device__ __forceinline__ RowValues(Prepare prepare, const R&... rows)
      : prepare_(prepare), rows_{rows...} {
    if constexpr (Team::kHolds) {
      const int packs = (static_cast<int>(rows_[0].length) + N - 1) / N;
      held_ = (packs + Team::kSize - 1 - Team::rank()) / Team::kSize;
      hold(Packs{});
    }
  }
  // f(k, v...) for each of the thread's packs. A team that holds its row finds there what an
  // earlier f has left.
  template <class F>
  __device__ __forceinline__ void packs(F f) {
    if constexpr (Team::kHolds) {
      call_each(f, Packs{});
    } else {
      for (std::int64_t k = place(0); k < rows_[0].length; k += Team::kSize * N) {
        load(k, values_[0], Rows{});
        call(prepare_, k, values_[0], Rows{});
        call(f, k, values_[0], Rows{});
      }
    }
  }
  // f(k, value...) for each of its elements.
  template <class F>
  __device__ __forceinline__ void each(F f) {
    if (rows_[0].packed) {
      packs([&](std::int64_t k, auto&... v) {
        for (int j = 0; j < N; ++j) f(k + j, v[j]...);
      });
    } else {
      packs([&](std::int64_t k, auto&... v) {
        for (int j = 0; j < N; ++j) {
          if (inside(k + j, rows_[0].length)) f(k + j, v[j]...);
        }
      });
    }
  }
  // The sum of f(value...) over its elements: for a pack not much more than an addition each.
  // Behind the row's end f is given zeros, and not asked for what it makes of them.
  template <class F>
  __device__ __forceinline__ LongSum sum(F f) {
    LongSum totals[1];
    sums(totals, [&](float(&terms)[1], auto&... v) { terms[0] = f(v...); });
    return totals[0];
  }
  // Several sums, of what f(terms, value...) puts there.
  template <int kSums, class F>
  __device__ __forceinline__ void sums(LongSum (&totals)[kSums], F f) {
    if (rows_[0].packed) {
      packs([&](std::int64_t, auto&... v) { add_terms(totals, f, N, v...); });
    } else {
      packs([&](std::int64_t k, auto&... v) { add_terms(totals, f, rows_[0].length - k, v...); });
    }
  }

 private:
  __device__ static std::int64_t place(int pack) {
    return std::int64_t{pack * Team::kSize + Team::rank()} * N;
  }
  // Of N elements, of which the row has `count`.
  template <int kSums, class F, class... V>
  __device__ __forceinline__ static void add_terms(LongSum (&totals)[kSums], F& f,
                                                   std::int64_t count, V&... v) {
    float terms[kSums][N];
    for (int j = 0; j < N; ++j) {
      float of_element[kSums];
      f(of_element, v[j]...);
      for (int i = 0; i < kSums; ++i) terms[i][j] = inside(j, count) ? of_element[i] : 0;
    }
    for (int i = 0; i < kSums; ++i) totals[i].add(terms[i]);
  }
  // Written out: an array that a loop indexes would lie in memory wherever the loop stays one.
  template <int... p>
  __device__ __forceinline__ void hold(std::integer_sequence<int, p...>) {
    if (rows_[0].packed) {
      Fetched<T, N> fetched[kPacks][kRows] = {};
      ((inside(p, held_) ? ask(place(p), fetched[p], Rows{}) : void()), ...);
      (take(fetched[p], values_[p], Rows{}), ...);
    } else {
      (load(place(p), values_[p], Rows{}), ...);
    }
    call_each(prepare_, Packs{});
  }
  template <class F, int... p>
  __device__ __forceinline__ void call_each(F& f, std::integer_sequence<int, p...>) {
    ((inside(p, held_) ? call(f, place(p), values_[p], Rows{}) : void()), ...);
  }
  template <int... r>
  __device__ __forceinline__ void ask(std::int64_t k, Fetched<T, N> (&fetched)[kRows],
                                      std::integer_sequence<int, r...>) const {
    ((rows_[r].data ? void(fetched[r] = fetch<N>(rows_[r].data + k)) : void()), ...);
  }
  template <int... r>
  __device__ __forceinline__ static void take(const Fetched<T, N> (&fetched)[kRows],
                                              float (&v)[kRows][N],
                                              std::integer_sequence<int, r...>) {
    (take_floats(fetched[r], v[r]), ...);
  }
  template <int... r>
  __device__ __forceinline__ void load(std::int64_t k, float (&v)[kRows][N],
                                       std::integer_sequence<int, r...>) const {
    (load_row(rows_[r], k, v[r]), ...);
  }
  template <class F, int... r>
  __device__ __forceinline__ static void call(F& f, std::int64_t k, float (&v)[kRows][N],
                                              std::integer_sequence<int, r...>) {
    f(k, v[r]...);
  }

  Prepare prepare_;
  Row<const T> rows_[kRows];
  int held_ = 0;  // packs of this thread
  float values_[kPacks][kRows][N];
};

template <class Team, class Prepare, class T, class... More>
__device__ __forceinline__ auto prepared_row_values(Prepare prepare, const Row<const T>& row,
                                                    const More&... more) {
  return RowValues<Team, T, 1 + sizeof...(More), Prepare>(prepare, row, more...);
}
template <class Team, class T, class... More>
__device__ __forceinline__ auto row_values(const Row<const T>& row, const More&... more) {
  return prepared_row_values<Team>(AsTheyAre{}, row, more...);
}

}  // namespace convoy::CONVOY_TARGET
