// SPDX-License-Identifier: MIT
#pragma once
// The gradient of a depthwise convolution's weights: a thread takes a pack of channels and a line
// of taps, and walks over lines of outputs in strips of four. Threads of a block that share both
// add up in order; blocks are parts (conv2d/partials.cuh).

#include "kernels/gpu/conv2d/depthwise.cuh"
#include "kernels/gpu/conv2d/partials.cuh"

namespace convoy::CONVOY_TARGET {

constexpr int kDepthwiseWeightThreads = 256;

struct DepthwiseWeightWalk : Extents {
  Divisor by_lines;         // P
  int pieces, tap_lines;    // lines of taps, in pieces where they are longer than a thread's
  int packs, lines, slots;  // of a block
  int channel_blocks, tap_blocks;

  DepthwiseWeightWalk(const Conv2dGeometry& g, int pack, int taps)
      : Extents(g), by_lines(P), pieces((S + taps - 1) / taps), tap_lines(R * pieces) {
    for (packs = 1; packs < kWarp && packs * pack < K;) packs *= 2;
    lines = min(tap_lines, kDepthwiseWeightThreads / kWarp);
    slots = kDepthwiseWeightThreads / (packs * lines);
    channel_blocks = static_cast<int>(blocks_for(K, packs * pack));
    tap_blocks = static_cast<int>(blocks_for(tap_lines, lines));
  }
};

template <int kTaps, int kPack>
struct DepthwiseWeightStorage {
  float of_thread[(kTaps + 1) * kPack][kDepthwiseWeightThreads];
};

// Adds what a strip of dy means for the taps of one line. kWindow: all taps of a line one place
// apart; otherwise kTaps of them from first_tap on.
template <bool kWindow, int kTaps, int kPack, class T>
__device__ __forceinline__ void add_strip(const DepthwiseWeightWalk& g, const T* line, int first,
                                          int first_tap, const float (&dy)[kDepthwiseStrip][kPack],
                                          float (&sums)[kTaps][kPack]) {
  float x[kPack];
  if constexpr (kWindow) {
    CONVOY_UNROLL
    for (int i = 0; i < kTaps + kDepthwiseStrip - 1; ++i) {
      const int w = first - g.pad_w + i;
      if (!inside(w, g.W)) continue;
      load_floats(line + std::int64_t{w} * g.C, x);
      CONVOY_UNROLL
      for (int j = 0; j < kDepthwiseStrip; ++j) {
        if (i - j < 0 || i - j >= kTaps) continue;
        for (int c = 0; c < kPack; ++c) sums[i - j][c] += dy[j][c] * x[c];
      }
    }
  } else {
    CONVOY_UNROLL
    for (int s = 0; s < kTaps; ++s) {
      CONVOY_UNROLL
      for (int j = 0; j < kDepthwiseStrip; ++j) {
        const int w = (first + j) * g.stride_w - g.pad_w + (first_tap + s) * g.dilation_w;
        if (!inside(w, g.W)) continue;
        load_floats(line + std::int64_t{w} * g.C, x);
        for (int c = 0; c < kPack; ++c) sums[s][c] += dy[j][c] * x[c];
      }
    }
  }
}

template <class T, bool kWindow, int kTaps, int kPack>
__global__ void __launch_bounds__(kDepthwiseWeightThreads, 2)
    conv2d_depthwise_taps_per_thread_and_part(Conv2dBackwardWeight op, DepthwiseWeightWalk g,
                                              float* to, Parts parts) {
  begin_kernel();
  auto& s = shared<DepthwiseWeightStorage<kTaps, kPack>>();
  const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  const int slot = thread / g.packs / g.lines;
  const int tap_line =
      block / g.channel_blocks % g.tap_blocks * g.lines + thread / g.packs % g.lines;
  const int part = block / g.channel_blocks / g.tap_blocks;
  const int k = (block % g.channel_blocks * g.packs + thread % g.packs) * kPack;
  const int r = tap_line / g.pieces, first_tap = tap_line % g.pieces * kTaps;
  const bool mine = inside(k / kPack, g.K / kPack) && inside(tap_line, g.tap_lines);
  const T* dy = static_cast<const T*>(op.dy) + k;
  const T* x = static_cast<const T*>(op.x) + k / g.filters;

  float sums[kTaps][kPack] = {}, of_bias[kPack] = {};
  const std::int64_t begin = part * parts.size, end = min(begin + parts.size, op.g.N * g.P);
  for (std::int64_t line = begin + slot; mine && line < end; line += g.slots) {
    const int n = g.by_lines.quotient(static_cast<int>(line));
    const int p = static_cast<int>(line) - n * g.P;
    const int h = p * g.stride_h - g.pad_h + r * g.dilation_h;
    const bool has_line = inside(h, g.H);
    const T* of_x = x + (std::int64_t{n} * g.H + h) * g.W * g.C;
    for (int q = 0; q < g.Q; q += kDepthwiseStrip) {
      float strip[kDepthwiseStrip][kPack] = {};
      CONVOY_UNROLL
      for (int j = 0; j < kDepthwiseStrip; ++j) {
        if (!inside(q + j, g.Q)) continue;
        load_floats(dy + (line * g.Q + q + j) * g.K, strip[j]);
        for (int c = 0; c < kPack; ++c) of_bias[c] += strip[j][c];
      }
      if (has_line) add_strip<kWindow>(g, of_x, q, first_tap, strip, sums);
    }
  }

  CONVOY_UNROLL
  for (int i = 0; i < kTaps; ++i) {
    for (int c = 0; c < kPack; ++c) s.of_thread[i * kPack + c][thread] = sums[i][c];
  }
  for (int c = 0; c < kPack; ++c) s.of_thread[kTaps * kPack + c][thread] = of_bias[c];
  __syncthreads();
  if (!mine || slot > 0) return;
  float* of_part = to + part * sums_per_part(op.g) + k;
  for (int i = 0; i <= kTaps; ++i) {
    const int tap = i == kTaps ? g.R * g.S : r * g.S + first_tap + i;
    if (i == kTaps ? tap_line > 0 : !inside(first_tap + i, g.S)) continue;
    for (int c = 0; c < kPack; ++c) {
      float sum = 0;
      for (int j = 0; j < g.slots; ++j) {
        sum += s.of_thread[i * kPack + c][thread + j * g.packs * g.lines];
      }
      of_part[std::int64_t{tap} * g.K + c] = sum;
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
