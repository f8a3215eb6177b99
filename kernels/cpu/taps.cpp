// SPDX-License-Identifier: MIT
#include "kernels/cpu/taps.h"

#include <cstring>

#include "kernels/cpu/simd.h"
#include "kernels/cpu/transpose.h"

namespace convoy::on_cpu::taps {
namespace {

Axis forward_axis(std::int64_t outputs, std::int64_t inputs, std::int64_t taps, std::int64_t stride,
                  std::int64_t pad, std::int64_t dilation) {
  Axis a{outputs, 0, 1, stride, inputs, taps, {}, {}};
  for (std::int64_t t = 0; t < taps; ++t) a.tap[t] = t, a.offset[t] = t * dilation - pad;
  return a;
}

// The inputs phase, phase + stride, … and the taps t for which phase + pad - t * dilation is a
// multiple of the stride: the quotient is the output that the first of them gathers from. The last
// tap comes first, so that offsets ascend.
Axis backward_axis(std::int64_t outputs, std::int64_t inputs, std::int64_t taps,
                   std::int64_t stride, std::int64_t pad, std::int64_t dilation,
                   std::int64_t phase) {
  Axis a{(inputs - phase + stride - 1) / stride, phase, stride, 1, outputs, 0, {}, {}};
  for (std::int64_t t = taps - 1; t >= 0; --t) {
    const std::int64_t reach = phase + pad - t * dilation;
    if (reach % stride != 0) continue;
    a.tap[a.count] = t;
    a.offset[a.count++] = reach / stride;
  }
  return a;
}

void copy_line(const float* from, float* to) { std::memcpy(to, from, kLine * sizeof(float)); }

}  // namespace

Images forward_images(const Conv2dGeometry& g) { return {g.N, g.H, g.W, g.C, g.P, g.Q, g.K}; }
Images backward_images(const Conv2dGeometry& g) { return {g.N, g.P, g.Q, g.K, g.H, g.W, g.C}; }

Phase forward_phase(const Conv2dGeometry& g) {
  return {forward_axis(g.P, g.H, g.R, g.stride_h, g.pad_h, g.dilation_h),
          forward_axis(g.Q, g.W, g.S, g.stride_w, g.pad_w, g.dilation_w)};
}

std::int64_t backward_phases(const Conv2dGeometry& g) { return g.stride_h * g.stride_w; }

Phase backward_phase(const Conv2dGeometry& g, std::int64_t number) {
  return {backward_axis(g.P, g.H, g.R, g.stride_h, g.pad_h, g.dilation_h, number / g.stride_w),
          backward_axis(g.Q, g.W, g.S, g.stride_w, g.pad_w, g.dilation_w, number % g.stride_w)};
}

Axis::Range Axis::inside(std::int64_t output) const {
  const std::int64_t base = output * source_step;
  Range r{0, count};
  while (r.begin < count && base + offset[r.begin] < 0) ++r.begin;
  while (r.end > r.begin && base + offset[r.end - 1] >= source_extent) --r.end;
  return r;
}

bool Axis::reads(std::int64_t position) const {
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t reach = position - offset[t];
    if (reach >= 0 && reach % source_step == 0 && reach / source_step < outputs) return true;
  }
  return false;
}

std::int64_t lines_size(std::int64_t pixels, std::int64_t blocks, std::int64_t images) {
  return pixels * blocks * (images + 1) * kLine;
}

void lay_out(const float* x, std::int64_t H, std::int64_t W, std::int64_t channels,
             std::int64_t first_block, const Phase* phase, const Lines& lines) {
  for (std::int64_t h = 0; h < H; ++h) {
    if (phase && !phase->h.reads(h)) continue;
    for (std::int64_t w = 0; w < W; ++w) {
      if (phase && !phase->w.reads(w)) continue;
      const std::int64_t pixel = h * W + w;
      for (std::int64_t n = 0; n < lines.images; ++n) {
        const float* from =
            x + ((lines.first_image + n) * H * W + pixel) * channels + first_block * kLine;
        float* to = lines.at(pixel, 0) + n * kLine;
        for (std::int64_t b = 0; b < lines.blocks; ++b) {
          copy_line(from + b * kLine, to + b * lines.pitch());
        }
      }
    }
  }
}

std::int64_t output_offset(const Images& m, const Phase& phase, std::int64_t n, std::int64_t i,
                           std::int64_t j) {
  const std::int64_t row = phase.h.start + i * phase.h.step;
  const std::int64_t column = phase.w.start + j * phase.w.step;
  return ((n * m.P + row) * m.Q + column) * m.K;
}

void scatter(const Scatter& p) {
  const Images& m = *p.images;
  float* y = p.y + output_offset(m, *p.phase, p.first_image, p.i, p.j) + p.block * kLine;
  const float* bias = p.bias ? p.bias + p.block * kLine : nullptr;
  for (std::int64_t n = 0; n < p.count; ++n, y += m.P * m.Q * m.K) {
    const float* from = p.m + n * kLine;
    if (!p.accumulate && !bias) {
      copy_line(from, y);
      continue;
    }
    for (std::int64_t k = 0; k < kLine; ++k) {
      y[k] = from[k] + (bias ? bias[k] : 0.0f) + (p.accumulate ? y[k] : 0.0f);
    }
  }
}

void clear(const Images& m, std::int64_t first_image, std::int64_t images, std::int64_t first_block,
           std::int64_t last_block, float* y) {
  const bool whole = (last_block - first_block) * kLine == m.K;
  const std::int64_t pieces = whole ? 1 : images * m.P * m.Q;
  const std::int64_t count = whole ? images * m.P * m.Q * m.K : (last_block - first_block) * kLine;
  y += first_image * m.P * m.Q * m.K + first_block * kLine;
  for (std::int64_t i = 0; i < pieces; ++i, y += m.K) {
    std::memset(y, 0, static_cast<std::size_t>(count) * sizeof(float));
  }
}

namespace {

template <class V>
CONVOY_INLINE void straight(const Panel& p) {
  const Conv2dGeometry& g = *p.g;
  const std::int64_t filter_size = g.R * g.S * g.C;
  const float* first = p.weight + p.block * kLine * filter_size;
  float* u = p.u;
  for (std::int64_t a = 0; a < p.phase->h.count; ++a) {
    for (std::int64_t b = 0; b < p.phase->w.count; ++b) {
      const float* from = first + (p.phase->h.tap[a] * g.S + p.phase->w.tap[b]) * g.C;
      for (std::int64_t c = 0; c < g.C; c += kLine, u += kLine * kLine) {
        transpose_lines<V>(from + c, filter_size, u, kLine);
      }
    }
  }
}

CONVOY_AVX512 void straight_avx512(const Panel& p) { straight<Float16>(p); }
void straight_avx2(const Panel& p) { straight<Float8>(p); }

constexpr std::int64_t kAhead = 16;  // filters

void flipped(const Panel& p) {
  const Conv2dGeometry& g = *p.g;
  float* u = p.u;
  for (std::int64_t a = 0; a < p.phase->h.count; ++a) {
    for (std::int64_t b = 0; b < p.phase->w.count; ++b) {
      const std::int64_t tap = p.phase->h.tap[a] * g.S + p.phase->w.tap[b];
      const float* from = p.weight + tap * g.C + p.block * kLine;
      const std::int64_t filter_size = g.R * g.S * g.C;
      for (std::int64_t k = 0; k < g.K; ++k, u += kLine, from += filter_size) {
        __builtin_prefetch(from + kAhead * filter_size);
        copy_line(from, u);
      }
    }
  }
}

}  // namespace

void panel(const Panel& p) {
  if (p.flipped) return flipped(p);
  avx512() ? straight_avx512(p) : straight_avx2(p);
}

}  // namespace convoy::on_cpu::taps
