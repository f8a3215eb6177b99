// SPDX-License-Identifier: MIT
#pragma once
// Loops over the compute threads, and dispatch from a DType value to a C++ type.
//
//   with_float(op.dtype, [&]<class T>(Type<T>) { ... });
//   parallel_for(rows, 64, [&](std::int64_t begin, std::int64_t end) { ... });

#include <algorithm>
#include <cstdint>

#include "kernels/base.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace convoy::on_cpu {

template <class T>
struct Type {
  using type = T;
};

// Calls f with the C++ type of a floating dtype that the CPU computes in: f32 or f64.
template <class F>
decltype(auto) with_float(DType dtype, F&& f) {
  if (dtype == DType::f32) return f(Type<float>{});
  if (dtype == DType::f64) return f(Type<double>{});
  fail("cpu kernels: dtype expects f32 or f64, found {}", dtype);
}

inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

// Calls f(begin, end) on pieces of [0, count), a piece per thread, at least `grain` long. The
// pieces depend on count, grain and the number of threads only, so results that depend on them
// repeat from run to run.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
  if (count <= 0) return;
#ifdef _OPENMP
  if (count <= grain) return f(std::int64_t{0}, count);  // first: a small op asks OpenMP nothing
  const std::int64_t pieces = std::min<std::int64_t>(
      thread_count(), (count + grain - 1) / std::max<std::int64_t>(grain, 1));
  if (pieces > 1 && !omp_in_parallel()) {
#pragma omp parallel num_threads(static_cast <int>(pieces))
    {
      // OMP_THREAD_LIMIT or OMP_DYNAMIC may give fewer threads than pieces: no piece is left out.
      for (std::int64_t i = omp_get_thread_num(); i < pieces; i += omp_get_num_threads()) {
        const std::int64_t begin = count * i / pieces, end = count * (i + 1) / pieces;
        if (begin < end) f(begin, end);
      }
    }
    return;
  }
#endif
  f(std::int64_t{0}, count);
}

// Calls f(piece) for each of `pieces`, spread over the threads: for work with a buffer a piece.
template <class F>
void for_each_piece(std::int64_t pieces, F&& f) {
  parallel_for(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) f(piece);
  });
}

// Where a piece's share of [0, count) begins; it ends where the next one's begins.
inline std::int64_t share(std::int64_t count, std::int64_t piece, std::int64_t pieces) {
  return count * piece / pieces;
}

}  // namespace convoy::on_cpu
