// SPDX-License-Identifier: MIT
#pragma once
// conv2d beside the ladder: depthwise
// Idea     one channel per group leaves nothing to multiply in tiles: a thread takes a pack of
//          channels and a strip of four outputs of a line, whose windows overlap.
// Gain     of 3, 5 and 7 taps each value of x is loaded once per line of taps and strip; weights
//          lie in shared memory, and a line of them in registers.
// Limit    memory: there are two operations for each tap and value. Strides and dilation along a
//          line load each window on its own.

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/conv2d/walk.cuh"
#include "kernels/gpu/epilogue.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

constexpr int kDepthwiseThreads = 128, kDepthwiseStrip = 4, kDepthwisePack = 4;
constexpr int kDepthwiseTaps = 64;  // that shared memory holds at once; a line has no more

// Forward, and as its mirror image backward input: every value of `to` is a sum over the taps of
// what is at (to * up - pad + tap * dilation) / down of `from`, where that is whole. Forward `down`
// is 1; backward `up` is, and the taps run backwards.
struct DepthwiseWalk {
  int from_h, from_w, from_c, to_h, to_w, to_c;
  int R, S, up_h, up_w, down_h, down_w, pad_h, pad_w, dilation_h, dilation_w;
  bool flip;
  int filters;          // of a channel
  bool filters_inside;  // a value of `to` meets all filters of its channel: backward
  Divisor by_down_h, by_down_w;
  Radix strip;  // n, h, strip of a line
  int strips;
  int packs = 1, channel_blocks = 1;  // of a block; of the grid

  int inner() const { return filters_inside ? filters : 1; }
};

struct DepthwiseStorage {
  alignas(16) float taps[kDepthwiseTaps][kWarp * kDepthwisePack];
};

// Stages lines `first` to `end` of the taps of the block's channels; of each channel filter `j`.
template <class T>
__device__ void stage_taps(DepthwiseStorage& s, const DepthwiseWalk& d, const T* weight,
                           int first_channel, int channels, int inner, int j, int first, int end) {
  const int count = (end - first) * d.S, all = d.R * d.S;
  for (int i = static_cast<int>(threadIdx.x); i < channels * count; i += kDepthwiseThreads) {
    const int channel = i / count, tap = first * d.S + i % count;
    if (!inside(first_channel + channel, d.to_c)) return;
    const std::int64_t filter = std::int64_t{first_channel + channel} * inner + j;
    s.taps[i % count][channel] = widen(weight[filter * all + (d.flip ? all - 1 - tap : tap)]);
  }
}

// Which of the extent's places is meant, if one is.
__device__ __forceinline__ bool find_place(int at, int extent, int down, Divisor by_down,
                                           int& place) {
  if (!inside(at, extent * down)) return false;
  place = by_down.quotient(at);
  return place * down == at;
}

// Adds one line of taps to a strip. kS taps one place apart, or 0: any.
template <int kS, int kPack, class T>
__device__ __forceinline__ void add_line(const DepthwiseWalk& d, const T* line, int first,
                                         const float* taps, float (&sums)[kDepthwiseStrip][kPack]) {
  constexpr int kPitch = kWarp * kDepthwisePack;
  float x[kPack];
  if constexpr (kS > 0) {
    float tap[kS][kPack];
    CONVOY_UNROLL
    for (int s = 0; s < kS; ++s) load_floats(taps + s * kPitch, tap[s]);
    CONVOY_UNROLL
    for (int i = 0; i < kS + kDepthwiseStrip - 1; ++i) {
      const int w = first - d.pad_w + i;
      if (!inside(w, d.from_w)) continue;
      load_floats(line + std::int64_t{w} * d.from_c, x);
      CONVOY_UNROLL
      for (int j = 0; j < kDepthwiseStrip; ++j) {
        if (i - j < 0 || i - j >= kS) continue;
        for (int c = 0; c < kPack; ++c) sums[j][c] += x[c] * tap[i - j][c];
      }
    }
  } else {
    for (int s = 0; s < d.S; ++s) {
      float tap[kPack];
      load_floats(taps + s * kPitch, tap);
      CONVOY_UNROLL
      for (int j = 0; j < kDepthwiseStrip; ++j) {
        int w;
        const int at = (first + j) * d.up_w - d.pad_w + s * d.dilation_w;
        if (!find_place(at, d.from_w, d.down_w, d.by_down_w, w)) continue;
        load_floats(line + std::int64_t{w} * d.from_c, x);
        for (int c = 0; c < kPack; ++c) sums[j][c] += x[c] * tap[c];
      }
    }
  }
}

// The bounds give a thread 128 registers: left to itself ptxas aims at fewer, and spills.
template <class T, int kS, int kPack>
__global__ void __launch_bounds__(kDepthwiseThreads, 4)
    conv2d_depthwise_strip_per_thread(DepthwiseWalk d, int inner, const T* from, const T* weight,
                                      Epilogue epilogue, T* to, bool accumulate) {
  begin_kernel();
  auto& s = shared<DepthwiseStorage>();
  const int pack = static_cast<int>(threadIdx.x) % d.packs;
  const int slots = kDepthwiseThreads / d.packs;
  const int channel_block = static_cast<int>(blockIdx.x) % d.channel_blocks;
  const int first_channel = channel_block * d.packs * kPack, c = first_channel + pack * kPack;
  const int blocks = static_cast<int>(gridDim.x) / d.channel_blocks;
  const int lines_at_once = kDepthwiseTaps / d.S;
  bool staged = false;
  std::int64_t round = static_cast<int>(blockIdx.x) / d.channel_blocks;
  for (; round * slots < d.strips; round += blocks) {
    const auto strip = round * slots + static_cast<int>(threadIdx.x) / d.packs;
    const bool mine = inside(c / kPack, d.to_c / kPack) && inside(strip, d.strips);
    const Index3 at = d.strip.split(static_cast<int>(strip));
    const int first = at.last * kDepthwiseStrip;
    float sums[kDepthwiseStrip][kPack] = {};
    for (int j = 0; j < inner; ++j) {
      const int from_channel = d.filters_inside ? c * inner + j : c / d.filters;
      for (int r0 = 0; r0 < d.R; r0 += lines_at_once) {
        const int end = min(r0 + lines_at_once, d.R);
        // Taps that fit at once stay for all strips.
        if (!staged) {
          __syncthreads();
          stage_taps(s, d, weight, first_channel, d.packs * kPack, inner, j, r0, end);
          __syncthreads();
          staged = inner == 1 && end - r0 == d.R;
        }
        for (int r = r0; mine && r < end; ++r) {
          int h;
          const int place = at.middle * d.up_h - d.pad_h + r * d.dilation_h;
          if (!find_place(place, d.from_h, d.down_h, d.by_down_h, h)) continue;
          const std::int64_t line = std::int64_t{at.first * d.from_h + h} * d.from_w;
          add_line<kS, kPack>(d, from + line * d.from_c + from_channel, first,
                              &s.taps[(r - r0) * d.S][pack * kPack], sums);
        }
      }
    }
    if (!mine) continue;
    const std::int64_t line = std::int64_t{at.first * d.to_h + at.middle} * d.to_w * d.to_c + c;
    CONVOY_UNROLL
    for (int j = 0; j < kDepthwiseStrip; ++j) {
      if (!inside(first + j, d.to_w)) break;
      const std::int64_t place = line + std::int64_t{first + j} * d.to_c;
      finish_sums<T>(epilogue, to, place, c, accumulate, sums[j]);
      store_floats(to + place, sums[j]);
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
