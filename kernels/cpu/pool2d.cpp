// SPDX-License-Identifier: MIT
// Loops over pixels, with an inner loop over channels that vectorises. Rows of output (forward) or
// of input (backward) are spread over the threads.
#include "kernels/pool2d.h"

#include <limits>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return floor_div(a + b - 1, b); }

struct Range {
  std::int64_t begin, end;
};

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

// Outputs whose window may hold input pixel `i` (with dilation: some that only span it).
Range outputs_of(const PoolAxis& a, std::int64_t i) {
  if (a.adaptive) return {i * a.out / a.in, ((i + 1) * a.out + a.in - 1) / a.in};
  const std::int64_t reach = a.dilation * (a.kernel - 1);
  return {std::max<std::int64_t>(0, ceil_div(i + a.padding - reach, a.stride)),
          std::min(a.out, floor_div(i + a.padding, a.stride) + 1)};
}

// The taps of output p that lie inside the image.
Range taps(const PoolAxis& a, std::int64_t p) {
  const std::int64_t first = p * a.stride - a.padding;
  return {std::max<std::int64_t>(0, ceil_div(-first, a.dilation)),
          std::min(a.kernel, ceil_div(a.in - first, a.dilation))};
}

// f(n, row) for every row of every image, spread over the threads.
template <class F>
void for_each_row(std::int64_t batch, std::int64_t rows, std::int64_t elements_per_row, F&& f) {
  const std::int64_t grain = (1 << 13) / std::max<std::int64_t>(elements_per_row, 1) + 1;
  parallel_for(batch * rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}

template <class T, bool kIndices>
void take_larger(const T* x, std::int32_t pixel, std::int64_t C, T* y, std::int32_t* index) {
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c) {
    const T v = x[c], best = y[c];
    const bool larger = v > best || v != v;
    y[c] = larger ? v : best;
    if constexpr (kIndices) {
      const std::int32_t old = index[c];
      index[c] = larger ? pixel : old;
    }
  }
}

template <class T, bool kIndices>
void max_pixel(const Pool2dGeometry& g, const T* image, std::int64_t p, std::int64_t q, T* y,
               std::int32_t* index) {
  const std::int64_t C = g.channels;
  const Range rs = taps(g.h, p), ss = taps(g.w, q);
  const std::int64_t h0 = p * g.h.stride - g.h.padding, w0 = q * g.w.stride - g.w.padding;
  bool first = true;
  for (std::int64_t r = rs.begin; r < rs.end; ++r) {
    for (std::int64_t s = ss.begin; s < ss.end; ++s) {
      const std::int64_t pixel = (h0 + r * g.h.dilation) * g.w.in + w0 + s * g.w.dilation;
      const T* x = image + pixel * C;
      const auto number = static_cast<std::int32_t>(pixel);
      if (first) {
        std::copy_n(x, C, y);
        if constexpr (kIndices) std::fill_n(index, C, number);
        first = false;
      } else {
        take_larger<T, kIndices>(x, number, C, y, index);
      }
    }
  }
  if (first) {  // with dilation a window can straddle the image: nothing is its maximum
    std::fill_n(y, C, -std::numeric_limits<T>::infinity());
    if constexpr (kIndices) std::fill_n(index, C, -1);
  }
}

template <class T, bool kIndices>
void max_forward(const MaxPool2dForward& op) {
  const Pool2dGeometry& g = op.geometry;
  for_each_row(g.batch, g.h.out, g.w.out * g.channels, [&](std::int64_t n, std::int64_t p) {
    const T* image = static_cast<const T*>(op.x) + n * g.h.in * g.w.in * g.channels;
    for (std::int64_t q = 0; q < g.w.out; ++q) {
      const std::int64_t at = ((n * g.h.out + p) * g.w.out + q) * g.channels;
      max_pixel<T, kIndices>(g, image, p, q, static_cast<T*>(op.y) + at,
                             kIndices ? op.indices + at : nullptr);
    }
  });
}

template <class T>
void max_backward(const MaxPool2dBackward& op) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels;
  for_each_row(g.batch, g.h.in, g.w.in * C, [&](std::int64_t n, std::int64_t h) {
    const Range ps = outputs_of(g.h, h);
    for (std::int64_t w = 0; w < g.w.in; ++w) {
      const Range qs = outputs_of(g.w, w);
      const auto pixel = static_cast<std::int32_t>(h * g.w.in + w);
      T* dx = static_cast<T*>(op.dx) + (n * g.h.in * g.w.in + pixel) * C;
      if (!op.accumulate) std::fill_n(dx, C, T{0});
      for (std::int64_t p = ps.begin; p < ps.end; ++p) {
        for (std::int64_t q = qs.begin; q < qs.end; ++q) {
          const std::int64_t at = ((n * g.h.out + p) * g.w.out + q) * C;
          const T* dy = static_cast<const T*>(op.dy) + at;
          const std::int32_t* index = op.indices + at;
#pragma omp simd
          for (std::int64_t c = 0; c < C; ++c) {
            const T v = dy[c];
            dx[c] += index[c] == pixel ? v : T{0};
          }
        }
      }
    }
  });
}

template <class T>
void avg_forward(const AvgPool2dForward& op) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels;
  for_each_row(g.batch, g.h.out, g.w.out * C, [&](std::int64_t n, std::int64_t p) {
    const T* image = static_cast<const T*>(op.x) + n * g.h.in * g.w.in * C;
    const Window hs = window(g.h, p, g.count_include_pad);
    for (std::int64_t q = 0; q < g.w.out; ++q) {
      const Window ws = window(g.w, q, g.count_include_pad);
      T* y = static_cast<T*>(op.y) + ((n * g.h.out + p) * g.w.out + q) * C;
      std::fill_n(y, C, T{0});
      for (std::int64_t h = hs.begin; h < hs.end; ++h) {
        for (std::int64_t w = ws.begin; w < ws.end; ++w) {
          const T* x = image + (h * g.w.in + w) * C;
#pragma omp simd
          for (std::int64_t c = 0; c < C; ++c) y[c] += x[c];
        }
      }
      const T share = T{1} / static_cast<T>(std::max<std::int64_t>(hs.extent * ws.extent, 1));
      for (std::int64_t c = 0; c < C; ++c) y[c] *= share;
    }
  });
}

template <class T>
void avg_backward(const AvgPool2dBackward& op) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels;
  for_each_row(g.batch, g.h.in, g.w.in * C, [&](std::int64_t n, std::int64_t h) {
    const Range ps = outputs_of(g.h, h);
    for (std::int64_t w = 0; w < g.w.in; ++w) {
      const Range qs = outputs_of(g.w, w);
      T* dx = static_cast<T*>(op.dx) + ((n * g.h.in + h) * g.w.in + w) * C;
      if (!op.accumulate) std::fill_n(dx, C, T{0});
      for (std::int64_t p = ps.begin; p < ps.end; ++p) {
        const std::int64_t vertical = window(g.h, p, g.count_include_pad).extent;
        for (std::int64_t q = qs.begin; q < qs.end; ++q) {
          const std::int64_t horizontal = window(g.w, q, g.count_include_pad).extent;
          const T share = T{1} / static_cast<T>(vertical * horizontal);
          const T* dy = static_cast<const T*>(op.dy) + ((n * g.h.out + p) * g.w.out + q) * C;
#pragma omp simd
          for (std::int64_t c = 0; c < C; ++c) dx[c] += dy[c] * share;
        }
      }
    }
  });
}

}  // namespace

Plan plan(const MaxPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const MaxPool2dBackward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dBackward&, const Device&) { return {.variant = "gather"}; }

void run(const MaxPool2dForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    op.indices != nullptr ? max_forward<T, true>(op) : max_forward<T, false>(op);
  });
}
void run(const MaxPool2dBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { max_backward<T>(op); });
}
void run(const AvgPool2dForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { avg_forward<T>(op); });
}
void run(const AvgPool2dBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { avg_backward<T>(op); });
}

}  // namespace convoy::on_cpu
