// SPDX-License-Identifier: MIT
#pragma once
// What a reduction folds its terms into: the state of a thread, the partial result that threads and
// splits exchange, and what becomes of the total. And the fold over the threads of a block.
//
//   typename Op::State mine = Op::start();
//   op.take_asked(op.ask<N>(where), v);               // N of the thread's terms, in two steps
//   Op::take(mine, v[j], term);                       // each of them
//   typename Op::Partial total[1] = {Op::result(mine)};
//   fold_block<kThreads>(op, total, width);           // then op.put(output, total[0])

#include <limits>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/long_sum.cuh"
#include "kernels/gpu/strided.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
struct SumFold {
  using State = LongSum;
  using Partial = double;
  const T *x, *factor;  // factor may be null
  Results<T> y;
  double scale;
  bool accumulate;

  __device__ static LongSum start() { return {}; }
  template <int N>
  struct Asked {
    Fetched<T, N> x, factor;
  };
  template <int N>
  __device__ Asked<N> ask(const Offsets<2>& at) const {
    Asked<N> asked = {fetch<N>(x + at.of[0]), {}};
    if (factor != nullptr) asked.factor = fetch<N>(factor + at.of[1]);
    return asked;
  }
  template <int N>
  __device__ void take_asked(const Asked<N>& asked, float (&v)[N]) const {
    take_floats(asked.x, v);
    if (factor == nullptr) return;
    float f[N];
    take_floats(asked.factor, f);
    for (int j = 0; j < N; ++j) v[j] *= f[j];
  }
  __device__ static void take(LongSum& sum, float value, std::int64_t) { sum.add(value); }
  __device__ static double result(const LongSum& sum) { return sum.value(); }
  __device__ static double join(double a, double b) { return a + b; }
  __device__ void put(std::int64_t k, double total) const {
    y.put(k, static_cast<float>(total * scale), accumulate);
  }
};

struct Best {
  float value;
  std::int64_t where;
};

template <class T>
struct LargestFold {
  using State = Best;
  using Partial = Best;
  const T* x;
  T* y;                 // may be null
  std::int64_t* index;  // may be null

  __device__ static Best start() { return {-INFINITY, std::numeric_limits<std::int64_t>::max()}; }
  template <int N>
  __device__ Fetched<T, N> ask(const Offsets<2>& at) const {
    return fetch<N>(x + at.of[0]);
  }
  template <int N>
  __device__ void take_asked(const Fetched<T, N>& asked, float (&v)[N]) const {
    take_floats(asked, v);
  }
  __device__ static void take(Best& best, float value, std::int64_t term) {
    best = join(best, {value, term});
  }
  __device__ static Best result(const Best& best) { return best; }
  // A NaN is larger than everything, and of equal ones the first counts.
  __device__ static Best join(const Best& a, const Best& b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool same = a.value == b.value || (a_nan && b_nan);
    const bool take_b = same ? b.where < a.where : b_nan || b.value > a.value;
    return take_b ? b : a;
  }
  __device__ void put(std::int64_t k, const Best& best) const {
    if (y != nullptr) y[k] = narrow<T>(best.value);
    if (index != nullptr) index[k] = best.where;
  }
};

__device__ __forceinline__ double from_lane_xor(double value, int lanes) {
  return __shfl_xor_sync(~0u, value, lanes);
}
__device__ __forceinline__ Best from_lane_xor(const Best& best, int lanes) {
  return {__shfl_xor_sync(~0u, best.value, lanes), __shfl_xor_sync(~0u, best.where, lanes)};
}

template <class Partial, int kThreads, int kOutputs>
struct FoldStorage {
  Partial of_warp[kOutputs][kThreads / kWarp][kWarp];  // [output of the pack][warp][pack]
};

// The fold over the block's threads of each output; valid in the first `width` threads.
template <int kThreads, class Op, int N>
__device__ void fold_block(const Op&, typename Op::Partial (&mine)[N], int width) {
  for (auto& m : mine) {
    for (int by = kWarp / 2; by >= width; by /= 2) m = Op::join(m, from_lane_xor(m, by));
  }
  if constexpr (kThreads > kWarp) {
    auto& s = shared<FoldStorage<typename Op::Partial, kThreads, N>>();
    const int lane = lane_index();
    for (int j = 0; j < N && lane < width; ++j) s.of_warp[j][warp_index()][lane] = mine[j];
    __syncthreads();
    if (warp_index() != 0 || lane >= width) return;
    for (int j = 0; j < N; ++j) {
      mine[j] = s.of_warp[j][0][lane];
      for (int w = 1; w < kThreads / kWarp; ++w) {
        mine[j] = Op::join(mine[j], s.of_warp[j][w][lane]);
      }
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
