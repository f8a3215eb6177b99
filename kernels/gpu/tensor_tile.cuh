// SPDX-License-Identifier: MIT
#pragma once
// A block's share of a matrix product on the tensor cores: f16 or bf16 factors, f32 sums. gemm and
// the convolutions differ in the two sources that say where the elements of a and b stand, and in
// nothing else:
//
//   TensorSums<Tile> sums;
//   multiply<T, Tile, Major::k, Major::m>(s, sums, a, m, b, n, 0, slabs);
//
// The depth is cut into slabs of kK. Slabs travel to a ring of stages in shared memory by cp.async,
// kStages - 1 ahead of the one that is being multiplied; warps read it by ldmatrix.
//
// A source has elements in runs of `width` (8, 2 or 1) side by side in memory, along the depth with
// Major::k, along the rows with Major::m. All elements of a run are inside of the matrix or none.
//
//   Row row(int i)       row i of the matrix, or run i of the rows; asked for once, if width is 8
//   Depth depth(int i)   depth i, or run i of the depth; once per slab
//   Run<T> at(Row, Depth)
//   Norm norm            what is done to an element on load: NoNorm, or like InputNorm

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/ptx/mma.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

// What lies side by side in memory: elements along the depth, or along the rows (columns of b).
enum class Major { k, m };

// Eight elements: what one ldmatrix row, or one 16-byte copy, holds.
inline constexpr int kChunk = 8;
struct alignas(16) Chunk {
  std::uint16_t bits[kChunk];
};

template <int kRows, int kColumns, int kWarpsDown, int kWarpsAcross, bool kNarrow>
struct TensorTile {
  static constexpr bool kTakesNarrowRuns = kNarrow;
  static constexpr int kM = kRows, kN = kColumns;
  static constexpr int kK = 32, kStages = 4;
  static constexpr int kAcross = kWarpsAcross;
  static constexpr int kWarpM = kM / kWarpsDown, kWarpN = kN / kWarpsAcross;
  static constexpr int kThreads = kWarp * kWarpsDown * kWarpsAcross;
  static constexpr int kBlocks = 512 / kThreads;  // that share a multiprocessor's registers
  static_assert(kWarpM % 16 == 0 && kWarpN % 16 == 0);

  // When all slabs are multiplied, the sums take the stages' place. Eight columns more per row: the
  // lanes of a fragment store to different banks.
  struct Stages {
    Chunk a[kStages][kM * kK / kChunk], b[kStages][kN * kK / kChunk];
  };
  union Storage {
    Stages stages;
    float sums[kM][kN + 8];
  };
};

// Large tiles read each value least often. Where there are too few of them for all multiprocessors,
// small ones; and for runs of less than 16 bytes, whose addresses cost registers.
using LargeTensorTile = TensorTile<128, 128, 2, 4, false>;
using SmallTensorTile = TensorTile<64, 64, 2, 2, true>;

// A warp's sums, in the fragments of mma.
template <class Tile>
struct TensorSums {
  float of[Tile::kWarpM / 16][Tile::kWarpN / 8][4] = {};
};

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

// A norm whose elements depend on a second array keeps that one's slabs of a beside the stages.
template <class Tile>
struct StorageWithRaw {
  typename Tile::Storage storage;
  Chunk raw[Tile::kStages][Tile::kM * Tile::kK / kChunk];
};

// Where a stage keeps a chunk of a line. Eight chunks that ldmatrix reads together, one of eight
// lines each, are in different banks, and so are those that neighbouring lanes write.
template <int kChunksPerLine>
__device__ __forceinline__ int chunk_place(int line, int chunk) {
  constexpr int kSpread = kChunksPerLine < 8 ? kChunksPerLine : 8;
  constexpr int kLinesPerSweep = 8 / kSpread;  // lines in 128 bytes, or one
  return line * kChunksPerLine + (chunk ^ (line / kLinesPerSweep % kSpread));
}

// One thread's part of bringing slabs of kRows x kK of a matrix to shared memory.
template <class T, class Tile, int kRows, Major kMajor, class Source>
class Stager {
  static constexpr bool kAlongDepth = kMajor == Major::k;
  static constexpr int kChunksPerLine = (kAlongDepth ? Tile::kK : kRows) / kChunk;
  static constexpr int kLinesPerStep = Tile::kThreads / kChunksPerLine;
  static constexpr int kSteps = (kAlongDepth ? kRows : Tile::kK) / kLinesPerStep;
  static_assert(Tile::kThreads % kChunksPerLine == 0 && kSteps > 0);

 public:
  __device__ __forceinline__ Stager(const Source& source, int first_row)
      : source_(source), first_row_(first_row) {
    for (int i = 0; i < kKept; ++i) {
      rows_[i] = source.row(kAlongDepth ? first_row + line(i) : first_row / kChunk + chunk());
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
      for_my_chunks(slab, [&](int step, int i, const Run<T>& run) {
        if (!run.is_inside) return;
        T* const x = place(stage, step) + i;
        const T* beside = x;
        if constexpr (Source::Norm::kHasRaw) beside = place(raw, step) + i;
        if (source_.width == kChunk) return norm_run<kChunk>(x, beside, run.channel);
        for (int j = 0; j < source_.width; ++j) norm_run<1>(x + j, beside + j, run.channel + j);
      });
    }
  }

 private:
  static constexpr int kKept = kAlongDepth ? kSteps : 1;

  static __device__ __forceinline__ int chunk() {
    return static_cast<int>(threadIdx.x) % kChunksPerLine;
  }
  static __device__ __forceinline__ int line(int step) {
    return static_cast<int>(threadIdx.x) / kChunksPerLine + step * kLinesPerStep;
  }
  template <class SomeChunk>
  static __device__ __forceinline__ auto* place(SomeChunk* stage, int step) {
    using Element = std::conditional_t<std::is_const_v<SomeChunk>, const T, T>;
    return reinterpret_cast<Element*>(&stage[chunk_place<kChunksPerLine>(line(step), chunk())]);
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
    if constexpr (Tile::kTakesNarrowRuns) {
      if (source_.width < kChunk) {
        const int runs = kChunk / source_.width;
        for (int step = 0; step < kSteps; ++step) {
          for (int i = 0; i < runs; ++i) {
            f(step, i * source_.width, narrow_run_at(slab, step, i, runs));
          }
        }
        return;
      }
    }
    for (int step = 0; step < kSteps; ++step) f(step, 0, run_at(slab, step));
  }

  __device__ __forceinline__ void copy_run(T* to, const T* from, bool is_inside) const {
    if (!Tile::kTakesNarrowRuns || source_.width == kChunk) {
      cp_async<16>(to, from, is_inside ? 16 : 0);
    } else if (source_.width == 2) {
      cp_async<4>(to, from, is_inside ? 4 : 0);
    } else {
      *to = is_inside ? *from : T{};
    }
  }

  template <int N>
  __device__ __forceinline__ void norm_run(T* x, const T* raw, int channel) const {
    float v[N], beside[N];
    load_floats(x, v);
    load_floats(raw, beside);
    for (int i = 0; i < N; ++i) v[i] = source_.norm(channel + i, v[i], beside[i]);
    store_floats(x, v);
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
};

enum class Factor { a, b };

// The 16 x 16 elements at (row, k) of a stage as mma takes them: of a one fragment, of b two
// neighbours along n.
template <Factor kFactor, Major kMajor, int kRows, class Tile>
__device__ __forceinline__ void load_fragment(unsigned (&fragment)[4], const Chunk* stage, int row,
                                              int k) {
  const int matrix = lane_index() / 8, line = lane_index() % 8;
  const int half_of_rows = kFactor == Factor::a ? matrix % 2 : matrix / 2;
  const int half_of_k = kFactor == Factor::a ? matrix / 2 : matrix % 2;
  if constexpr (kMajor == Major::k) {
    ldmatrix(fragment, &stage[chunk_place<Tile::kK / kChunk>(row + 8 * half_of_rows + line,
                                                             k / kChunk + half_of_k)]);
  } else {
    ldmatrix<true>(
        fragment,
        &stage[chunk_place<kRows / kChunk>(k + 8 * half_of_k + line, row / kChunk + half_of_rows)]);
  }
}

// Adds one slab's products.
template <class T, class Tile, Major kMajorA, Major kMajorB>
__device__ __forceinline__ void multiply_slab(TensorSums<Tile>& sums, const Chunk* a,
                                              const Chunk* b) {
  const int m = warp_index() / Tile::kAcross * Tile::kWarpM;
  const int n = warp_index() % Tile::kAcross * Tile::kWarpN;
  for (int k = 0; k < Tile::kK; k += 16) {
    unsigned right[Tile::kWarpN / 16][4];
    for (int j = 0; j < Tile::kWarpN / 16; ++j) {
      load_fragment<Factor::b, kMajorB, Tile::kN, Tile>(right[j], b, n + 16 * j, k);
    }
    for (int i = 0; i < Tile::kWarpM / 16; ++i) {
      unsigned left[4];
      load_fragment<Factor::a, kMajorA, Tile::kM, Tile>(left, a, m + 16 * i, k);
      for (int j = 0; j < Tile::kWarpN / 8; ++j) {
        const unsigned pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
        mma_m16n8k16<T>(sums.of[i][j], left, pair);
      }
    }
  }
}

// Adds a(m, k) b(k, n) over the slabs begin <= k / kK < end of the tile that begins at (m, n).
template <class T, class Tile, Major kMajorA, Major kMajorB, class A, class B>
__device__ __forceinline__ void multiply(typename Tile::Storage& s, TensorSums<Tile>& sums,
                                         const A& a, int m, const B& b, int n, int begin, int end) {
  const Stager<T, Tile, Tile::kM, kMajorA, A> stage_a(a, m);
  const Stager<T, Tile, Tile::kN, kMajorB, B> stage_b(b, n);
  const auto raw = [&](int slab) -> Chunk* {
    if constexpr (A::Norm::kHasRaw) {
      if (a.norm.wanted()) return shared<StorageWithRaw<Tile>>().raw[slab % Tile::kStages];
    }
    return nullptr;
  };
  const auto fetch = [&](int slab) {
    if (slab < end) {
      stage_a.fetch(s.stages.a[slab % Tile::kStages], raw(slab), slab);
      stage_b.fetch(s.stages.b[slab % Tile::kStages], nullptr, slab);
    }
    cp_async_commit();
  };
  for (int ahead = 0; ahead < Tile::kStages - 1; ++ahead) fetch(begin + ahead);
  for (int slab = begin; slab < end; ++slab) {
    cp_async_wait<Tile::kStages - 2>();
    stage_a.norm(s.stages.a[slab % Tile::kStages], raw(slab), slab);
    stage_b.norm(s.stages.b[slab % Tile::kStages], nullptr, slab);
    // The slab is there for all, and all have left the one before it, whose stage is next to fill.
    __syncthreads();
    fetch(slab + Tile::kStages - 1);
    multiply_slab<T, Tile, kMajorA, kMajorB>(sums, s.stages.a[slab % Tile::kStages],
                                             s.stages.b[slab % Tile::kStages]);
  }
}

}  // namespace convoy::CONVOY_TARGET
