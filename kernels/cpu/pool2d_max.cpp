// SPDX-License-Identifier: MIT
// Forward: rows of output over the threads, channels in registers over the taps. Backward: images
// over the threads, since windows overlap.
#include <cstring>
#include <limits>

#include "kernels/cpu/pool2d_loops.h"

namespace convoy::on_cpu {
namespace {

// The taps of output p that lie inside the image.
Range taps(const PoolAxis& a, std::int64_t p) {
  const std::int64_t first = p * a.stride - a.padding;
  return {std::max<std::int64_t>(0, ceil_div(-first, a.dilation)),
          std::min(a.kernel, ceil_div(a.in - first, a.dilation))};
}

// The window of one output, clipped to the image. `first` is -1 where dilation lets it straddle the
// image: the maximum of nothing is -inf, at index -1.
struct MaxWindow {
  std::int64_t rows, columns;          // taps
  std::int64_t row_step, column_step;  // in pixels
  std::int64_t first;                  // pixel
};

MaxWindow max_window(const Pool2dGeometry& g, std::int64_t p, std::int64_t q) {
  const Range rs = taps(g.h, p), ss = taps(g.w, q);
  const std::int64_t h = p * g.h.stride - g.h.padding + rs.begin * g.h.dilation;
  const std::int64_t w = q * g.w.stride - g.w.padding + ss.begin * g.w.dilation;
  const std::int64_t rows = rs.end - rs.begin, columns = ss.end - ss.begin;
  if (rows <= 0 || columns <= 0) return {0, 0, 0, 0, -1};
  return {rows, columns, g.h.dilation * g.w.in, g.w.dilation, h * g.w.in + w};
}

// f(pixel) for each tap, in order.
template <class F>
void for_each_tap(const MaxWindow& m, F&& f) {
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const std::int64_t row = m.first + r * m.row_step;
    for (std::int64_t s = 0; s < m.columns; ++s) f(row + s * m.column_step);
  }
}

// As many channels of one output as a register holds, from x at the first of them. Written with
// vector types, because g++ does not keep an array in registers over the taps.
template <class T>
void max_vector(const MaxWindow& m, const T* x, std::int64_t C, T* y, std::int32_t* index) {
  using V = Vector<T>;
  typename V::Values best = -std::numeric_limits<T>::infinity() + typename V::Values{};
  typename V::Wholes where = static_cast<typename V::Whole>(m.first) + typename V::Wholes{};
  for_each_tap(m, [&](std::int64_t pixel) {
    typename V::Values v;
    std::memcpy(&v, x + pixel * C, sizeof v);
    const typename V::Wholes larger = (v > best) | (v != v);
    best = larger ? v : best;
    where = larger ? static_cast<typename V::Whole>(pixel) + typename V::Wholes{} : where;
  });
  std::memcpy(y, &best, sizeof best);
  for (std::int64_t j = 0; index != nullptr && j < V::kLanes; ++j) {
    index[j] = static_cast<std::int32_t>(where[j]);
  }
}

// Fewer channels than that: tap after tap.
template <class T>
void max_rest(const MaxWindow& m, const T* x, std::int64_t C, std::int64_t count, T* y,
              std::int32_t* index) {
  std::int32_t scratch[Vector<T>::kLanes];
  if (index == nullptr) index = scratch;
  std::fill_n(y, count, -std::numeric_limits<T>::infinity());
  std::fill_n(index, count, static_cast<std::int32_t>(m.first));
  for_each_tap(m, [&](std::int64_t pixel) {
    const T* tap = x + pixel * C;
#pragma omp simd
    for (std::int64_t c = 0; c < count; ++c) {
      const T v = tap[c], best = y[c];
      const std::int32_t old = index[c];
      const bool larger = v > best || v != v;
      y[c] = larger ? v : best;
      index[c] = larger ? static_cast<std::int32_t>(pixel) : old;
    }
  });
}

template <class T>
void max_pixel(const MaxWindow& m, const T* image, std::int64_t C, T* y, std::int32_t* index) {
  constexpr std::int64_t kLanes = Vector<T>::kLanes;
  std::int64_t c = 0;
  for (; c + kLanes <= C; c += kLanes) {
    max_vector(m, image + c, C, y + c, index ? index + c : nullptr);
  }
  if (c < C) max_rest(m, image + c, C, C - c, y + c, index ? index + c : nullptr);
}

template <class T>
void max_forward(const MaxPool2dForward& op) {
  const Pool2dGeometry& g = op.geometry;
  for_each_row(g.batch, g.h.out, g.w.out * g.channels, [&](std::int64_t n, std::int64_t p) {
    const T* image = static_cast<const T*>(op.x) + n * g.h.in * g.w.in * g.channels;
    for (std::int64_t q = 0; q < g.w.out; ++q) {
      const std::int64_t at = ((n * g.h.out + p) * g.w.out + q) * g.channels;
      max_pixel(max_window(g, p, q), image, g.channels, static_cast<T*>(op.y) + at,
                op.indices ? op.indices + at : nullptr);
    }
  });
}

// Channels [begin, end) of one image: each output's gradient goes to the pixel that it came from.
template <class T>
void max_backward_image(const MaxPool2dBackward& op, std::int64_t n, std::int64_t begin,
                        std::int64_t end) {
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t C = g.channels, inputs = g.h.in * g.w.in, outputs = g.h.out * g.w.out;
  T* dx = static_cast<T*>(op.dx) + n * inputs * C;
  const T* dy = static_cast<const T*>(op.dy) + n * outputs * C;
  const std::int32_t* indices = op.indices + n * outputs * C;
  if (!op.accumulate && end - begin == C) {
    std::fill_n(dx, inputs * C, T{0});
  } else if (!op.accumulate) {
    for (std::int64_t i = 0; i < inputs; ++i) std::fill(dx + i * C + begin, dx + i * C + end, T{0});
  }
  for (std::int64_t i = 0; i < outputs; ++i) {
    for (std::int64_t c = begin; c < end; ++c) {
      const std::int64_t pixel = indices[i * C + c];
      if (pixel >= 0) dx[pixel * C + c] += dy[i * C + c];
    }
  }
}

// Windows overlap, so the threads share out images and slices of channels, not rows.
template <class T>
void max_backward(const MaxPool2dBackward& op) {
  constexpr std::int64_t kSlice = 64;
  const Pool2dGeometry& g = op.geometry;
  const std::int64_t slices = (g.channels + kSlice - 1) / kSlice;
  const std::int64_t slice_size = g.h.in * g.w.in * std::min(g.channels, kSlice);
  parallel_for(g.batch * slices, (1 << 13) / std::max<std::int64_t>(slice_size, 1) + 1,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t i = first; i < last; ++i) {
                   const std::int64_t begin = i % slices * kSlice;
                   max_backward_image<T>(op, i / slices, begin,
                                         std::min(begin + kSlice, g.channels));
                 }
               });
}

}  // namespace

Plan plan(const MaxPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const MaxPool2dBackward&, const Device&) { return {.variant = "scatter"}; }

void run(const MaxPool2dForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { max_forward<T>(op); });
}
void run(const MaxPool2dBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { max_backward<T>(op); });
}

}  // namespace convoy::on_cpu
