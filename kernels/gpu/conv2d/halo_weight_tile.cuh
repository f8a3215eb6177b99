// SPDX-License-Identifier: MIT
#pragma once
// A block's share of the weights' gradient by halo (kernels/gpu/conv2d/halo_weight.cuh).

#include "kernels/gpu/conv2d/halo_span.cuh"

namespace convoy::CONVOY_TARGET {

// kFilters x kChannels of all taps, over tiles of kPixels. A warp has a square of 16 x 16.
template <class T, int kFilters, int kChannels>
struct HaloWeightTile {
  static constexpr bool kOfHalves = sizeof(T) == 2;
  static constexpr int kM = kFilters, kN = kChannels;
  static constexpr int kPixels = kOfHalves ? 128 : 64;
  static constexpr int kWarps = kOfHalves || kN > 16 ? 4 : 2, kThreads = kWarps * kWarp;
  static constexpr int kStages = 2;
  static constexpr int kAcross = kN / 16, kSquares = kM / 16 * kAcross;
  static constexpr int kAlong = kWarps / kSquares;      // warps that share out the pixels
  static constexpr int kStep = kOfHalves ? 16 : kWarp;  // pixels that a warp takes at once
  static constexpr int kChunksA = kM / kOfChunk<T>, kChunksB = kN / kOfChunk<T>;
  static constexpr int kDy = span_place<kChunksA>(kPixels, 0);  // chunks

  static __device__ __forceinline__ int square() { return warp_index() % kSquares; }
  static __device__ __forceinline__ int along() { return warp_index() / kSquares; }
  // Where its square begins.
  static __device__ __forceinline__ int filter() { return square() / kAcross * 16; }
  static __device__ __forceinline__ int channel() { return square() % kAcross * 16; }
};

// A lane's part of 16 filters and 16 channels of each tap.
struct HaloSums {
  float of[kHaloTaps][2][4] = {};
};

// [parts, groups, filters, taps, channels]
struct HaloPartSums {
  float* sums;
  int filters, channels;

  // `product` counts the groups of all parts.
  __device__ __forceinline__ float* at(std::int64_t product, int filter, int tap,
                                       int channel) const {
    return sums + ((product * filters + filter) * kHaloTaps + tap) * channels + channel;
  }
};

}  // namespace convoy::CONVOY_TARGET
