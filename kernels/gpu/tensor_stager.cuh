// SPDX-License-Identifier: MIT
#pragma once
// How a tile of the tensor cores gets its slabs: from a source that says where the elements of a
// factor stand, to a stage in shared memory, by cp.async.
//
// A source has elements in runs of `width` (8, 2 or 1) side by side in memory, along the depth with
// Major::k, along the rows with Major::mn. All elements of a run are inside of the matrix or none.
//
//   Row row(int i)       row i of the matrix, or run i of the rows; asked for once, if width is 8
//   Depth depth(int i)   depth i, or run i of the depth; once per slab
//   Run<T> at(Row, Depth)
//   Norm norm            what is done to an element on load, by a line per channel: NoNorm, or like
//                        InputNorm; a Row then has a channel, of its first element

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/major.h"
#include "kernels/gpu/ptx/cp_async.cuh"

namespace convoy::CONVOY_TARGET {

// Eight elements: what one ldmatrix row, or one 16-byte copy, holds.
inline constexpr int kChunk = 8;
struct alignas(16) Chunk {
  std::uint16_t bits[kChunk];
};
// Of elements that are not halves as many as fit.
template <class T>
inline constexpr int kOfChunk = sizeof(Chunk) / sizeof(T);

// A run's first element; what is not inside counts as zeros.
template <class T>
struct Run {
  const T* from;
  bool is_inside;
  int channel = 0;  // of the first element, for a norm
};

// Elements are taken as they are.
struct NoNorm {
  static constexpr bool kExists = false, kHasRaw = false;
  template <class... Ignored>
  __host__ __device__ constexpr NoNorm(const Ignored&...) {}
};

// What a norm knows of a chunk's channels.
template <class Norm, int N = kChunk>
struct ChunkLines {
  typename Norm::Line of[N];

  ChunkLines() = default;
  __device__ __forceinline__ ChunkLines(const Norm& norm, int channel) {
    for (int i = 0; i < N; ++i) of[i] = norm.line(channel + i);
  }
};
template <int N>
struct ChunkLines<NoNorm, N> {};

// Does to a chunk what is done on load. `raw`: the same elements of the norm's second array, if it
// has one.
template <class T, class Norm>
__device__ __forceinline__ void norm_chunk(const Norm& norm,
                                           const ChunkLines<Norm, kOfChunk<T>>& lines, T* x,
                                           const T* raw) {
  float v[kOfChunk<T>], beside[kOfChunk<T>] = {};
  load_floats(x, v);
  if constexpr (Norm::kHasRaw) load_floats(raw, beside);
  for (int i = 0; i < kOfChunk<T>; ++i) v[i] = norm(lines.of[i], v[i], beside[i]);
  store_floats(x, v);
}

// Where a stage keeps a chunk of a line. Eight chunks that ldmatrix reads together, one of eight
// lines each, are in different banks, and so are those that neighbouring lanes write. After eight
// lines it is the same again: `first`, a multiple of that, adds to an address what the compiler
// knows.
template <int kChunksPerLine>
__device__ __forceinline__ int chunk_place(int first, int line, int chunk) {
  constexpr int kSpread = kChunksPerLine < 8 ? kChunksPerLine : 8;
  constexpr int kLinesPerSweep = 8 / kSpread;  // lines in 128 bytes, or one
  return first * kChunksPerLine + line * kChunksPerLine +
         (chunk ^ (line / kLinesPerSweep % kSpread));
}

// One thread's part of bringing slabs of kRows x kK of a matrix to shared memory.
template <class T, class Tile, int kRows, Major kMajor, class Source>
class Stager {
  static constexpr bool kAlongDepth = kMajor == Major::k;
  static constexpr int kChunksPerLine = (kAlongDepth ? Tile::kK : kRows) / kChunk;
  static constexpr int kLinesPerStep = Tile::kThreads / kChunksPerLine;
  static constexpr int kSteps = (kAlongDepth ? kRows : Tile::kK) / kLinesPerStep;
  static_assert(Tile::kThreads % kChunksPerLine == 0 && kLinesPerStep % 8 == 0 && kSteps > 0);

 public:
  __device__ __forceinline__ Stager(const Source& source, int first_row)
      : source_(source), first_row_(first_row) {
    for (int i = 0; i < kKept; ++i) {
      rows_[i] = source.row(kAlongDepth ? first_row + line(i) : first_row / kChunk + chunk());
    }
    if constexpr (Source::Norm::kExists && !kAlongDepth) {
      if (source.norm.wanted() && !has_narrow_runs()) {
        lines_ = NormLines(source.norm, rows_[0].channel);
      }
    }
  }

  // `raw`: a stage for the norm's second array, if it has one.
  __device__ __forceinline__ void fetch(Chunk* stage, Chunk* raw, int slab) const {
    for_my_chunks(slab, [&](int step, int i, const Run<T>& run) {
      copy_run(place(stage, step) + i, run.from, run.is_inside);
      if constexpr (Source::Norm::kHasRaw) {
        if (source_.norm.wanted()) {
          copy_run(place(raw, step) + i, source_.norm.raw_of(run), run.is_inside);
        }
      }
    });
  }

  // Does to a slab's elements, once this thread's copies have arrived, what is done on load. What
  // is outside stays zero.
  __device__ __forceinline__ void norm(Chunk* stage, const Chunk* raw, int slab) const {
    if constexpr (Source::Norm::kExists) {
      if (!source_.norm.wanted()) return;
      if (has_narrow_runs()) return norm_narrow_runs(stage, raw, slab);
      if constexpr (kAlongDepth) {
        const Run<T> run = run_at(slab, 0);
        norm_chunks(stage, raw, slab, NormLines(source_.norm, run.channel));
      } else {
        norm_chunks(stage, raw, slab, lines_);
      }
    }
  }

 private:
  using NormLines = ChunkLines<typename Source::Norm>;
  static constexpr int kKept = kAlongDepth ? kSteps : 1;

  __device__ __forceinline__ bool has_narrow_runs() const {
    return Tile::kTakesNarrowRuns && source_.width < kChunk;
  }

  static __device__ __forceinline__ int chunk() {
    return static_cast<int>(threadIdx.x) % kChunksPerLine;
  }
  static __device__ __forceinline__ int line(int step) {
    return static_cast<int>(threadIdx.x) / kChunksPerLine + step * kLinesPerStep;
  }
  template <class SomeChunk>
  static __device__ __forceinline__ auto* place(SomeChunk* stage, int step) {
    using Element = std::conditional_t<std::is_const_v<SomeChunk>, const T, T>;
    return reinterpret_cast<Element*>(
        &stage[chunk_place<kChunksPerLine>(step * kLinesPerStep, line(0), chunk())]);
  }

  __device__ __forceinline__ Run<T> run_at(int slab, int step) const {
    if constexpr (kAlongDepth) {
      return source_.at(rows_[step], source_.depth(slab * kChunksPerLine + chunk()));
    } else {
      return source_.at(rows_[0], source_.depth(slab * Tile::kK + line(step)));
    }
  }

  // Calls f(step, element of the chunk, run) for each run of the thread's chunks. Of narrow runs
  // the count in a chunk is known here only: a loop that stays one needs few registers.
  template <class F>
  __device__ __forceinline__ void for_my_chunks(int slab, F f) const {
    if (has_narrow_runs()) return for_my_narrow_runs(slab, f);
    for (int step = 0; step < kSteps; ++step) f(step, 0, run_at(slab, step));
  }
  template <class F>
  __device__ __forceinline__ void for_my_narrow_runs(int slab, F f) const {
    const int runs = kChunk / source_.width;
    for (int step = 0; step < kSteps; ++step) {
      for (int i = 0; i < runs; ++i) {
        f(step, i * source_.width, narrow_run_at(slab, step, i, runs));
      }
    }
  }

  __device__ __forceinline__ void copy_run(T* to, const T* from, bool is_inside) const {
    if (!Tile::kTakesNarrowRuns || source_.width == kChunk) {
      cp_async_if<16>(to, from, is_inside);
    } else if (source_.width == 2) {
      cp_async_if<4>(to, from, is_inside);
    } else {
      *to = is_inside ? *from : T{};
    }
  }

  // All chunks of the thread are of the same channels.
  __device__ __forceinline__ void norm_chunks(Chunk* stage, const Chunk* raw, int slab,
                                              const NormLines& lines) const {
    for (int step = 0; step < kSteps; ++step) {
      if (!run_at(slab, step).is_inside) continue;
      const T* beside = nullptr;
      if constexpr (Source::Norm::kHasRaw) beside = place(raw, step);
      norm_chunk(source_.norm, lines, place(stage, step), beside);
    }
  }
  __device__ __forceinline__ void norm_narrow_runs(Chunk* stage, const Chunk* raw, int slab) const {
    for_my_narrow_runs(slab, [&](int step, int first, const Run<T>& run) {
      if (!run.is_inside) return;
      T* const x = place(stage, step);
      for (int i = 0; i < source_.width; ++i) {
        float beside = 0;
        if constexpr (Source::Norm::kHasRaw) beside = widen(place(raw, step)[first + i]);
        const auto line = source_.norm.line(run.channel + i);
        x[first + i] = narrow<T>(source_.norm(line, widen(x[first + i]), beside));
      }
    });
  }

  __device__ __forceinline__ Run<T> narrow_run_at(int slab, int step, int i, int runs) const {
    if constexpr (kAlongDepth) {
      return source_.at(rows_[step], source_.depth((slab * kChunksPerLine + chunk()) * runs + i));
    } else {
      const int first = first_row_ / kChunk + chunk();
      return source_.at(source_.row(first * runs + i), source_.depth(slab * Tile::kK + line(step)));
    }
  }

  const Source& source_;
  int first_row_;
  decltype(std::declval<Source>().row(0)) rows_[kKept];
  NormLines lines_;  // where a chunk lies along the rows: of the whole way along the depth
};

}  // namespace convoy::CONVOY_TARGET
