// SPDX-License-Identifier: MIT
// A thread per output forward, and per input backward: it visits the windows that reach its pixel,
// so that gradients add up in a fixed order and nothing is scattered. Threads side by side take
// channels side by side; a block stays within one row of the image, whose place it finds once.
#include "kernels/pool2d.h"

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 128;

// The geometry in 32 bits: it fits (pool2d_geometry), and 64-bit divisions are calls.
struct Axis {
  int in, out, kernel, stride, padding, dilation;
  bool adaptive;
};
struct Geometry {
  int channels;
  Axis h, w;
  bool count_include_pad;
};

// What a thread computes of an [images, rows, columns, C] tensor.
struct Place {
  int row, column, c;
  std::int64_t n, at;  // image, and position in the tensor
  bool works;
};

__device__ __forceinline__ Place place_of(unsigned blocks_per_row, int rows, int columns, int C) {
  const unsigned image_row = blockIdx.x / blocks_per_row, part = blockIdx.x % blocks_per_row;
  const int x = static_cast<int>(part * kThreads + threadIdx.x);
  return {static_cast<int>(image_row % rows),
          x / C,
          x % C,
          image_row / rows,
          std::int64_t{image_row} * (columns * C) + x,
          inside(x, columns * C)};
}

// What output p looks at: first, first + step, ...; some of it may lie outside the image.
struct Window {
  int first, step, count;
};

__device__ __forceinline__ Window window_of(const Axis& a, int p) {
  if (!a.adaptive) return {p * a.stride - a.padding, a.dilation, a.kernel};
  const int first = p * a.in / a.out;
  return {first, 1, ((p + 1) * a.in - 1) / a.out + 1 - first};
}

// Among how many pixels an average shares in this direction: what ceil_mode adds beyond the
// padding never counts.
__device__ __forceinline__ int shares_of(const Axis& a, const Window& window,
                                         bool count_include_pad) {
  if (a.adaptive) return window.count;
  const int first = window.first, end = first + window.count;
  if (count_include_pad) return min(end, a.in + a.padding) - first;
  return min(end, a.in) - max(first, 0);
}

// Outputs whose window may hold pixel i: [first, last], which may stick out at the end.
struct Reach {
  int first, last;
};

__device__ __forceinline__ Reach reach_of(const Axis& a, int i) {
  if (a.adaptive) return {i * a.out / a.in, ((i + 1) * a.out - 1) / a.in};
  const int last = i + a.padding, before = last - a.dilation * (a.kernel - 1);
  return {before <= 0 ? 0 : (before - 1) / a.stride + 1, last / a.stride};
}

// f(pixel) for each pixel of the window that lies in the image, in order.
template <class F>
__device__ __forceinline__ void for_each_pixel(const Geometry& g, const Window& hs,
                                               const Window& ws, F&& f) {
  for (int r = 0; r < hs.count; ++r) {
    const int h = hs.first + r * hs.step;
    if (!inside(h, g.h.in)) continue;
    for (int s = 0; s < ws.count; ++s) {
      const int w = ws.first + s * ws.step;
      if (inside(w, g.w.in)) f(h * g.w.in + w);
    }
  }
}

// f(p, q, position) for each output that may look at the pixel, in order.
template <class F>
__device__ __forceinline__ void for_each_output(const Geometry& g, const Place& x, F&& f) {
  const Reach ps = reach_of(g.h, x.row), qs = reach_of(g.w, x.column);
  for (int p = ps.first; p <= ps.last && inside(p, g.h.out); ++p) {
    for (int q = qs.first; q <= qs.last && inside(q, g.w.out); ++q) {
      f(p, q, ((x.n * g.h.out + p) * g.w.out + q) * g.channels + x.c);
    }
  }
}

template <class T>
__device__ __forceinline__ void put(T* dx, const Place& at, float value, bool accumulate) {
  dx[at.at] = narrow<T>(accumulate ? widen(dx[at.at]) + value : value);
}

// A later NaN takes over from an earlier one, as PyTorch has it.
template <class T>
__global__ void __launch_bounds__(kThreads)
    max_gather(Geometry g, unsigned blocks_per_row, const T* x, T* y, std::int32_t* indices) {
  const Place to = place_of(blocks_per_row, g.h.out, g.w.out, g.channels);
  if (!to.works) return;
  const T* const image = x + to.n * g.h.in * g.w.in * g.channels + to.c;
  float best = -INFINITY;
  int where = -1;
  for_each_pixel(g, window_of(g.h, to.row), window_of(g.w, to.column), [&](int pixel) {
    const float value = widen(image[std::int64_t{pixel} * g.channels]);
    if (where >= 0 && !(value > best) && value == value) return;
    best = value;
    where = pixel;
  });
  y[to.at] = narrow<T>(best);
  if (indices != nullptr) indices[to.at] = where;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    max_gather_gradient(Geometry g, unsigned blocks_per_row, const T* dy,
                        const std::int32_t* indices, T* dx, bool accumulate) {
  const Place to = place_of(blocks_per_row, g.h.in, g.w.in, g.channels);
  if (!to.works) return;
  const int pixel = to.row * g.w.in + to.column;
  float sum = 0;
  for_each_output(g, to, [&](int, int, std::int64_t at) {
    if (indices[at] == pixel) sum += widen(dy[at]);
  });
  put(dx, to, sum, accumulate);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    average_gather(Geometry g, unsigned blocks_per_row, const T* x, T* y) {
  const Place to = place_of(blocks_per_row, g.h.out, g.w.out, g.channels);
  if (!to.works) return;
  const T* const image = x + to.n * g.h.in * g.w.in * g.channels + to.c;
  const Window hs = window_of(g.h, to.row), ws = window_of(g.w, to.column);
  float sum = 0;
  for_each_pixel(g, hs, ws,
                 [&](int pixel) { sum += widen(image[std::int64_t{pixel} * g.channels]); });
  const float shares = static_cast<float>(shares_of(g.h, hs, g.count_include_pad)) *
                       static_cast<float>(shares_of(g.w, ws, g.count_include_pad));
  y[to.at] = narrow<T>(sum / shares);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    average_gather_gradient(Geometry g, unsigned blocks_per_row, const T* dy, T* dx,
                            bool accumulate) {
  const Place to = place_of(blocks_per_row, g.h.in, g.w.in, g.channels);
  if (!to.works) return;
  float sum = 0;
  for_each_output(g, to, [&](int p, int q, std::int64_t at) {
    const int high = shares_of(g.h, window_of(g.h, p), g.count_include_pad);
    const int wide = shares_of(g.w, window_of(g.w, q), g.count_include_pad);
    sum += widen(dy[at]) / (static_cast<float>(high) * static_cast<float>(wide));
  });
  put(dx, to, sum, accumulate);
}

Axis axis_of(const PoolAxis& a) {
  const auto to_int = [](std::int64_t value) { return static_cast<int>(value); };
  return {to_int(a.in),      to_int(a.out),      to_int(a.kernel), to_int(a.stride),
          to_int(a.padding), to_int(a.dilation), a.adaptive};
}
Geometry geometry_of(const Pool2dGeometry& g) {
  return {static_cast<int>(g.channels), axis_of(g.h), axis_of(g.w), g.count_include_pad};
}

// One thread for each element of a tensor of this shape, by rows.
template <class... Parameters, class... Arguments>
void launch_rows(const Shape& shape, const Stream& stream,
                 void (*kernel)(Geometry, unsigned, Parameters...), const Pool2dGeometry& geometry,
                 Arguments... arguments) {
  const unsigned blocks_per_row = blocks_for(shape[2] * shape[3], kThreads);
  const auto rows = static_cast<unsigned>(shape[0] * shape[1]);
  launch({.grid = rows * blocks_per_row, .block = kThreads, .stream = stream}, kernel,
         geometry_of(geometry), blocks_per_row, arguments...);
}

}  // namespace

Plan plan(const MaxPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const MaxPool2dBackward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dBackward&, const Device&) { return {.variant = "gather"}; }

void run(const MaxPool2dForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("max_pool2d", op.dtype, [&]<class T>(Type<T>) {
    launch_rows(op.geometry.output_shape(), stream, max_gather<T>, op.geometry,
                static_cast<const T*>(op.x), static_cast<T*>(op.y), op.indices);
  });
}

void run(const MaxPool2dBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("max_pool2d", op.dtype, [&]<class T>(Type<T>) {
    launch_rows(op.geometry.input_shape(), stream, max_gather_gradient<T>, op.geometry,
                static_cast<const T*>(op.dy), op.indices, static_cast<T*>(op.dx), op.accumulate);
  });
}

void run(const AvgPool2dForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("avg_pool2d", op.dtype, [&]<class T>(Type<T>) {
    launch_rows(op.geometry.output_shape(), stream, average_gather<T>, op.geometry,
                static_cast<const T*>(op.x), static_cast<T*>(op.y));
  });
}

void run(const AvgPool2dBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("avg_pool2d", op.dtype, [&]<class T>(Type<T>) {
    launch_rows(op.geometry.input_shape(), stream, average_gather_gradient<T>, op.geometry,
                static_cast<const T*>(op.dy), static_cast<T*>(op.dx), op.accumulate);
  });
}

}  // namespace convoy::CONVOY_TARGET
