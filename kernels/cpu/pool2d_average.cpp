// SPDX-License-Identifier: MIT
// Rows over the threads: of output forward, of input backward, so that each is written by one.
#include <cstring>

#include "kernels/cpu/pool2d_loops.h"

namespace convoy::on_cpu {
namespace {

// Input pixels that output p averages, and by how many it divides in this direction.
struct Window : Range {
  std::int64_t extent;
};

Window window(const PoolAxis& a, std::int64_t p, bool count_include_pad) {
  if (a.adaptive) {
    const Range r{p * a.in / a.out, ((p + 1) * a.in + a.out - 1) / a.out};
    return {r, r.end - r.begin};
  }
  const std::int64_t begin = p * a.stride - a.padding;
  const std::int64_t end = std::min(begin + a.kernel, a.in + a.padding);
  const Range inside{std::max<std::int64_t>(begin, 0), std::min(end, a.in)};
  return {inside, count_include_pad ? end - begin : inside.end - inside.begin};
}

// Outputs whose average holds input pixel `i`.
Range outputs_of(const PoolAxis& a, std::int64_t i) {
  if (a.adaptive) return {i * a.out / a.in, ((i + 1) * a.out + a.in - 1) / a.in};
  return {std::max<std::int64_t>(0, ceil_div(i + a.padding - a.kernel + 1, a.stride)),
          std::min(a.out, floor_div(i + a.padding, a.stride) + 1)};
}

// kCount times a V (a register, or one value) of channels: their sum over a window, times share.
template <class V, int kCount, class T>
void avg_channels(const Window& hs, const Window& ws, std::int64_t row_size, std::int64_t C,
                  T share, const T* x, T* y) {
  constexpr std::int64_t kLanes = sizeof(V) / sizeof(T);
  V sum[kCount] = {};
  for (std::int64_t h = hs.begin; h < hs.end; ++h) {
    for (std::int64_t w = ws.begin; w < ws.end; ++w) {
      const T* pixel = x + h * row_size + w * C;
      for (int k = 0; k < kCount; ++k) {
        V v;
        std::memcpy(&v, pixel + k * kLanes, sizeof v);
        sum[k] += v;
      }
    }
  }
  for (int k = 0; k < kCount; ++k) {
    const V mean = sum[k] * share;  // a copy: sum itself must stay in registers
    std::memcpy(y + k * kLanes, &mean, sizeof mean);
  }
}

template <class T>
void avg_forward(const AvgPool2dForward& op) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels, row_size = g.w.in * C;
  constexpr std::int64_t kLanes = Vector<T>::kLanes;
  for_each_row(g.batch, g.h.out, g.w.out * C, [&](std::int64_t n, std::int64_t p) {
    const T* x = static_cast<const T*>(op.x) + n * g.h.in * row_size;
    T* y = static_cast<T*>(op.y) + (n * g.h.out + p) * g.w.out * C;
    const Window hs = window(g.h, p, g.count_include_pad);
    for (std::int64_t q = 0; q < g.w.out; ++q, y += C) {
      const Window ws = window(g.w, q, g.count_include_pad);
      const T share = T{1} / static_cast<T>(std::max<std::int64_t>(hs.extent * ws.extent, 1));
      std::int64_t c = 0;
      for (; c + 4 * kLanes <= C; c += 4 * kLanes) {
        avg_channels<typename Vector<T>::Values, 4>(hs, ws, row_size, C, share, x + c, y + c);
      }
      for (; c + kLanes <= C; c += kLanes) {
        avg_channels<typename Vector<T>::Values, 1>(hs, ws, row_size, C, share, x + c, y + c);
      }
      for (; c < C; ++c) avg_channels<T, 1>(hs, ws, row_size, C, share, x + c, y + c);
    }
  });
}

// One row of one image: the windows that reach it, from left to right.
template <class T>
void avg_backward_row(const AvgPool2dBackward& op, std::int64_t n, std::int64_t h) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels;
  T* dx = static_cast<T*>(op.dx) + (n * g.h.in + h) * g.w.in * C;
  if (!op.accumulate) std::fill_n(dx, g.w.in * C, T{0});
  const Range ps = outputs_of(g.h, h);
  for (std::int64_t p = ps.begin; p < ps.end; ++p) {
    const std::int64_t vertical = window(g.h, p, g.count_include_pad).extent;
    const T* dy = static_cast<const T*>(op.dy) + (n * g.h.out + p) * g.w.out * C;
    for (std::int64_t q = 0; q < g.w.out; ++q, dy += C) {
      const Window ws = window(g.w, q, g.count_include_pad);
      const T share = T{1} / static_cast<T>(vertical * ws.extent);
      for (std::int64_t w = ws.begin; w < ws.end; ++w) {
        T* to = dx + w * C;
#pragma omp simd
        for (std::int64_t c = 0; c < C; ++c) to[c] += dy[c] * share;
      }
    }
  }
}

}  // namespace

Plan plan(const AvgPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dBackward&, const Device&) { return {.variant = "rows"}; }

void run(const AvgPool2dForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { avg_forward<T>(op); });
}
void run(const AvgPool2dBackward& op, const Plan&, void*, const Stream&) {
  const Pool2dGeometry& g = op.geometry;
  with_float(op.dtype, [&]<class T>(Type<T>) {
    for_each_row(g.batch, g.h.in, g.w.in * g.channels,
                 [&](std::int64_t n, std::int64_t h) { avg_backward_row<T>(op, n, h); });
  });
}

}  // namespace convoy::on_cpu
