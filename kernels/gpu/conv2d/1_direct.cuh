// SPDX-License-Identifier: MIT
#pragma once
// conv2d 1: direct
// Idea     one thread per value of the result, and the definition's loops: over taps and channels,
//          over taps and filters, over outputs.
// Gain     takes every geometry; no padding to tiles, so the right rung for depthwise convolutions.
// Limit    two global loads per multiply-add. Rung 2 shares them within a tile.

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/epilogue.cuh"

namespace convoy::CONVOY_TARGET {

constexpr int kDirectThreads = 128;

template <class T>
__global__ void __launch_bounds__(kDirectThreads) conv2d_thread_per_output(Conv2dForward op) {
  begin_kernel();
  const Extents g(op.g);
  const std::int64_t i = std::int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
  if (!inside(i, op.g.N * g.P * g.Q * g.K)) return;
  const std::int64_t pixel = i / g.K, line = pixel / g.Q, n = line / g.P;
  const int k = static_cast<int>(i % g.K), q = static_cast<int>(pixel % g.Q);
  const int p = static_cast<int>(line % g.P);
  const T* x = static_cast<const T*>(op.x) + n * g.H * g.W * g.C + k / g.filters * g.channels;
  const T* weight = static_cast<const T*>(op.weight) + std::int64_t{k} * g.R * g.S * g.channels;

  float sum = 0;
  for (int r = 0; r < g.R; ++r) {
    const int h = p * g.stride_h - g.pad_h + r * g.dilation_h;
    if (!inside(h, g.H)) continue;
    for (int s = 0; s < g.S; ++s) {
      const int w = q * g.stride_w - g.pad_w + s * g.dilation_w;
      if (!inside(w, g.W)) continue;
      const T* of_x = x + (std::int64_t{h} * g.W + w) * g.C;
      const T* of_weight = weight + (r * g.S + s) * g.channels;
      for (int c = 0; c < g.channels; ++c) sum += widen(of_x[c]) * widen(of_weight[c]);
    }
  }
  store_sum<T>(op.epilogue, static_cast<T*>(op.y), i, k, false, sum);
}

// Which of the outputs begins at this place of the padded input: place / stride, if that is whole.
__device__ inline bool find_output(int place, int stride, int extent, int& output) {
  output = place / stride;
  return place == output * stride && inside(output, extent);
}

template <class T>
__global__ void __launch_bounds__(kDirectThreads) conv2d_thread_per_input(Conv2dBackwardInput op) {
  begin_kernel();
  const Extents g(op.g);
  const std::int64_t i = std::int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
  if (!inside(i, op.g.N * g.H * g.W * g.C)) return;
  const std::int64_t pixel = i / g.C, line = pixel / g.W, n = line / g.H;
  const int c = static_cast<int>(i % g.C), w = static_cast<int>(pixel % g.W);
  const int h = static_cast<int>(line % g.H), first_filter = c / g.channels * g.filters;
  const T* dy = static_cast<const T*>(op.dy) + n * g.P * g.Q * g.K + first_filter;
  const std::int64_t per_filter = std::int64_t{g.R} * g.S * g.channels;
  const T* weight = static_cast<const T*>(op.weight) + first_filter * per_filter + c % g.channels;

  float sum = 0;
  for (int r = 0; r < g.R; ++r) {
    int p, q;
    if (!find_output(h + g.pad_h - r * g.dilation_h, g.stride_h, g.P, p)) continue;
    for (int s = 0; s < g.S; ++s) {
      if (!find_output(w + g.pad_w - s * g.dilation_w, g.stride_w, g.Q, q)) continue;
      const T* of_dy = dy + (std::int64_t{p} * g.Q + q) * g.K;
      const T* of_weight = weight + (r * g.S + s) * g.channels;
      for (int k = 0; k < g.filters; ++k) sum += widen(of_dy[k]) * widen(of_weight[k * per_filter]);
    }
  }
  store_gradient(static_cast<T*>(op.dx)[i], sum, op.accumulate);
}

// The sums of one weight, or of one bias, over the lines [N P] of outputs of one part.
template <class T>
__global__ void __launch_bounds__(kDirectThreads)
    conv2d_thread_per_weight_and_part(Conv2dBackwardWeight op, float* sums, Parts parts) {
  begin_kernel();
  const Extents g(op.g);
  const std::int64_t i = std::int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
  if (!inside(i, parts.count * sums_per_part(op.g))) return;
  const std::int64_t weights = weights_per_filter(op.g), part = i / g.K / (weights + 1);
  const int k = static_cast<int>(i % g.K), row = static_cast<int>(i / g.K % (weights + 1));
  const bool is_bias = row == weights;
  if ((is_bias ? op.dbias : op.dweight) == nullptr) return;
  const int c = row % g.channels, s = row / g.channels % g.S, r = row / g.channels / g.S;
  const T* dy = static_cast<const T*>(op.dy) + k;
  const T* x = static_cast<const T*>(op.x) + k / g.filters * g.channels + c;

  float sum = 0;
  const std::int64_t first = part * parts.size, end = min(first + parts.size, op.g.N * g.P);
  for (std::int64_t line = first; line < end; ++line) {
    const std::int64_t n = line / g.P;
    const int h = static_cast<int>(line % g.P) * g.stride_h - g.pad_h + r * g.dilation_h;
    if (!is_bias && !inside(h, g.H)) continue;
    for (int q = 0; q < g.Q; ++q) {
      const float from_above = widen(dy[(line * g.Q + q) * g.K]);
      const int w = q * g.stride_w - g.pad_w + s * g.dilation_w;
      if (is_bias) {
        sum += from_above;
      } else if (inside(w, g.W)) {
        sum += from_above * widen(x[((n * g.H + h) * g.W + w) * g.C]);
      }
    }
  }
  sums[i] = sum;
}

template <class T>
void conv2d_direct(const Conv2dForward& op, void*, const Stream& stream) {
  launch({.grid = blocks_for(op.g.output_shape().count(), kDirectThreads),
          .block = kDirectThreads,
          .stream = stream},
         conv2d_thread_per_output<T>, op);
}

template <class T>
void conv2d_direct(const Conv2dBackwardInput& op, void*, const Stream& stream) {
  launch({.grid = blocks_for(op.g.input_shape().count(), kDirectThreads),
          .block = kDirectThreads,
          .stream = stream},
         conv2d_thread_per_input<T>, op);
}

// Enough threads for a large GPU, where there are few weights; four lines of outputs at least.
inline Parts conv2d_direct_parts(const Conv2dGeometry& g) {
  constexpr std::int64_t kWantedThreads = 1 << 18, kLines = 4;
  return cut(g.N * g.P, max(kWantedThreads / sums_per_part(g), std::int64_t{1}), kLines);
}

template <class T>
void conv2d_direct(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const Parts parts = conv2d_direct_parts(op.g);
  auto* sums = static_cast<float*>(workspace);
  launch({.grid = blocks_for(parts.count * sums_per_part(op.g), kDirectThreads),
          .block = kDirectThreads,
          .stream = stream},
         conv2d_thread_per_weight_and_part<T>, op, sums, parts);
  add_parts<T>(op, sums, parts.count, stream);
}

}  // namespace convoy::CONVOY_TARGET
