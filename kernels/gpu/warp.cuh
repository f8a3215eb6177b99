// SPDX-License-Identifier: MIT
#pragma once
// Sums and maxima over a warp or a block, by shuffles, in one fixed order: the same bits each time,
// and the same in every thread. Each thread should first fold as many elements as it can: a shuffle
// costs more than an addition.
//
//   struct Storage { BlockScratch<float, kThreads> max, sum; };
//   auto& s = shared<Storage>();
//   const float largest = block_max(mine, s.max);          // every thread of the block calls, and
//   const float total = block_sum(expf(mine - largest), s.sum);   // gets the result
//
// A scratch serves one call. It is free again behind any later barrier of the block, that of a call
// with another scratch too: in a loop two of them take turns.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

inline constexpr int kWarp = 32;

__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarp; }

struct Add {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
// Of a number and a NaN the number.
struct Maximum {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// Every lane of the warp calls and gets the fold over each group of kWidth lanes, a power of two.
// fold(a, b) == fold(b, a) bit by bit.
template <int kWidth = kWarp, class T, class Fold>
__device__ __forceinline__ T warp_fold(T value, Fold fold) {
  for (int by = kWidth / 2; by > 0; by /= 2) value = fold(value, __shfl_xor_sync(~0u, value, by));
  return value;
}

template <class T, int kThreads>
struct BlockScratch {
  static_assert(kThreads % kWarp == 0);
  T of_warp[kThreads / kWarp];
};

// Every thread of a block of (kThreads, 1, 1) calls and gets the fold over all of them.
template <class T, int kThreads, class Fold>
__device__ __forceinline__ T block_fold(T value, BlockScratch<T, kThreads>& scratch, Fold fold) {
  value = warp_fold(value, fold);
  if (lane_index() == 0) scratch.of_warp[warp_index()] = value;
  __syncthreads();
  T result = scratch.of_warp[0];
  for (int w = 1; w < kThreads / kWarp; ++w) result = fold(result, scratch.of_warp[w]);
  return result;
}

template <int kWidth = kWarp, class T>
__device__ __forceinline__ T warp_sum(T value) {
  return warp_fold<kWidth>(value, Add{});
}
template <int kWidth = kWarp>
__device__ __forceinline__ float warp_max(float value) {
  return warp_fold<kWidth>(value, Maximum{});
}
template <class T, int kThreads>
__device__ __forceinline__ T block_sum(T value, BlockScratch<T, kThreads>& scratch) {
  return block_fold(value, scratch, Add{});
}
template <int kThreads>
__device__ __forceinline__ float block_max(float value, BlockScratch<float, kThreads>& scratch) {
  return block_fold(value, scratch, Maximum{});
}

}  // namespace convoy::CONVOY_TARGET
