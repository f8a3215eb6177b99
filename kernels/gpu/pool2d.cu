// SPDX-License-Identifier: MIT
// Threads per output forward, and per input backward: each visits the windows that reach its pixel,
// so that gradients add up in a fixed order and nothing is scattered. A thread takes a pack of N
// channels, threads side by side packs side by side; a block stays within one row of the image,
// whose place it finds once.
#include "kernels/pool2d.h"

#include "kernels/gpu/column_pass.cuh"
#include "kernels/gpu/divisor.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 128;
// So many blocks at once leave a thread 64 registers: left to itself ptxas aims at fewer, and
// spills.
constexpr int kGatherBlocks = 8;

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
  std::int64_t n, at;  // image, and position in the tensor; of the first channel
  bool works;
};

// How the blocks and threads of a launch share the tensor out: in rows of its images, and along
// them in packs of channels.
struct Rows {
  Divisor blocks, of_image, packs;  // blocks of a row, rows of an image, packs of a pixel
};
template <int N>
__device__ __forceinline__ Place place_of(const Rows& rows, int columns, int C) {
  const int block = static_cast<int>(blockIdx.x), image_row = rows.blocks.quotient(block);
  const int x = rows.blocks.remainder(block) * kThreads + static_cast<int>(threadIdx.x);
  return {rows.of_image.remainder(image_row),
          rows.packs.quotient(x),
          rows.packs.remainder(x) * N,
          rows.of_image.quotient(image_row),
          std::int64_t{image_row} * (columns * C) + std::int64_t{x} * N,
          inside(x, columns * (C / N))};
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

__device__ __forceinline__ bool lies_inside(const Window& window, int extent) {
  const int last = window.first + (window.count - 1) * window.step;
  return window.first >= 0 && last < extent;
}

// f(pixel, v) for each pixel of the window that lies in the image, in order, with its N values;
// those of pixel 0 are at `image`. Most windows lie there as a whole: then a line's pixels are
// asked for before the first is used.
template <int N, class T, class F>
__device__ __forceinline__ void for_each_pixel(const Geometry& g, const Window& hs,
                                               const Window& ws, const T* image, F&& f) {
  constexpr int kAtOnce = 3;
  const int width = g.w.in;
  const std::int64_t apart = std::int64_t{ws.step} * g.channels;
  float v[N];
  if (lies_inside(hs, g.h.in) && lies_inside(ws, width)) {
    for (int r = 0; r < hs.count; ++r) {
      const int line = (hs.first + r * hs.step) * width + ws.first;
      for (int s = 0; s < ws.count; s += kAtOnce) {
        const int pixel = line + s * ws.step, left = ws.count - s;
        const T* const from = image + std::int64_t{pixel} * g.channels;
        Fetched<T, N> fetched[kAtOnce] = {};
        fetched[0] = fetch<N>(from);
        if (left > 1) fetched[1] = fetch<N>(from + apart);
        if (left > 2) fetched[2] = fetch<N>(from + 2 * apart);
        CONVOY_UNROLL
        for (int k = 0; k < kAtOnce; ++k) {
          if (k >= left) break;
          take_floats(fetched[k], v);
          f(pixel + k * ws.step, v);
        }
      }
    }
    return;
  }
  for (int r = 0; r < hs.count; ++r) {
    const int h = hs.first + r * hs.step;
    if (!inside(h, g.h.in)) continue;
    for (int s = 0; s < ws.count; ++s) {
      const int w = ws.first + s * ws.step;
      if (!inside(w, width)) continue;
      load_floats(image + (std::int64_t{h} * width + w) * g.channels, v);
      f(h * width + w, v);
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

template <class T, int N>
__device__ __forceinline__ void put(T* dx, const Place& at, float (&sum)[N], bool accumulate) {
  if (accumulate) {
    float old[N];
    load_floats(dx + at.at, old);
    for (int j = 0; j < N; ++j) sum[j] += old[j];
  }
  store_floats(dx + at.at, sum);
}

// Indices are as wide as floats: a pack of halves has two vectors of them.
template <int N>
inline constexpr int kIndices = N < 4 ? N : 4;
template <int N>
__device__ __forceinline__ void load_indices(const std::int32_t* from, std::int32_t (&v)[N]) {
  constexpr int kWide = kIndices<N>;
  for (int first = 0; first < N; first += kWide) {
    const auto lanes = load_lanes<kWide>(from + first);
    for (int j = 0; j < kWide; ++j) v[first + j] = lanes.values[j];
  }
}
template <int N>
__device__ __forceinline__ void store_indices(std::int32_t* to, const std::int32_t (&v)[N]) {
  constexpr int kWide = kIndices<N>;
  for (int first = 0; first < N; first += kWide) {
    Lanes<std::int32_t, kWide> lanes;
    for (int j = 0; j < kWide; ++j) lanes.values[j] = v[first + j];
    store_lanes(to + first, lanes);
  }
}

// A later NaN takes over from an earlier one, as PyTorch has it.
template <class T, int N>
__global__ void __launch_bounds__(kThreads, kGatherBlocks)
    max_gather(Geometry g, Rows rows, const T* x, T* y, std::int32_t* indices) {
  begin_kernel();
  const Place to = place_of<N>(rows, g.w.out, g.channels);
  if (!to.works) return;
  const T* const image = x + to.n * g.h.in * g.w.in * g.channels + to.c;
  float best[N];
  std::int32_t where[N], first = -1;  // the window's first pixel
  for (int j = 0; j < N; ++j) best[j] = -INFINITY, where[j] = -1;
  const auto compare = [&](int pixel, const float(&v)[N]) {
    first = first < 0 ? pixel : first;
    for (int j = 0; j < N; ++j) {
      const bool takes = v[j] > best[j] || v[j] != v[j];
      best[j] = takes ? v[j] : best[j];
      where[j] = takes ? pixel : where[j];
    }
  };
  for_each_pixel<N>(g, window_of(g.h, to.row), window_of(g.w, to.column), image, compare);
  // A window of nothing but -inf.
  for (std::int32_t& pixel : where) pixel = pixel < 0 ? first : pixel;
  store_floats(y + to.at, best);
  if (indices != nullptr) store_indices(indices + to.at, where);
}

template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    max_gather_gradient(Geometry g, Rows rows, const T* dy, const std::int32_t* indices, T* dx,
                        bool accumulate) {
  begin_kernel();
  const Place to = place_of<N>(rows, g.w.in, g.channels);
  if (!to.works) return;
  const int pixel = to.row * g.w.in + to.column;
  float sum[N] = {};
  for_each_output(g, to, [&](int, int, std::int64_t at) {
    std::int32_t chosen[N];
    float v[N];
    load_indices(indices + at, chosen);
    load_floats(dy + at, v);
    for (int j = 0; j < N; ++j) sum[j] += chosen[j] == pixel ? v[j] : 0;
  });
  put(dx, to, sum, accumulate);
}

template <class T, int N>
__global__ void __launch_bounds__(kThreads, kGatherBlocks)
    average_gather(Geometry g, Rows rows, const T* x, T* y) {
  begin_kernel();
  const Place to = place_of<N>(rows, g.w.out, g.channels);
  if (!to.works) return;
  const T* const image = x + to.n * g.h.in * g.w.in * g.channels + to.c;
  const Window hs = window_of(g.h, to.row), ws = window_of(g.w, to.column);
  // Divides here, where registers are free.
  const float share = 1.0f / (static_cast<float>(shares_of(g.h, hs, g.count_include_pad)) *
                              static_cast<float>(shares_of(g.w, ws, g.count_include_pad)));
  float sum[N] = {};
  for_each_pixel<N>(g, hs, ws, image, [&](int, const float(&v)[N]) {
    for (int j = 0; j < N; ++j) sum[j] += v[j];
  });
  for (float& e : sum) e *= share;
  store_floats(y + to.at, sum);
}

template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    average_gather_gradient(Geometry g, Rows rows, const T* dy, T* dx, bool accumulate) {
  begin_kernel();
  const Place to = place_of<N>(rows, g.w.in, g.channels);
  if (!to.works) return;
  float sum[N] = {};
  for_each_output(g, to, [&](int p, int q, std::int64_t at) {
    const int high = shares_of(g.h, window_of(g.h, p), g.count_include_pad);
    const int wide = shares_of(g.w, window_of(g.w, q), g.count_include_pad);
    const float share = 1.0f / (static_cast<float>(high) * static_cast<float>(wide));
    float v[N];
    load_floats(dy + at, v);
    for (int j = 0; j < N; ++j) sum[j] += v[j] * share;
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

// One thread for each pack of a tensor of this shape, by rows.
template <class... Parameters, class... Arguments>
void launch_rows(const Shape& shape, int width, const Stream& stream,
                 void (*kernel)(Geometry, Rows, Parameters...), const Pool2dGeometry& geometry,
                 Arguments... arguments) {
  if (shape.count() == 0) return;
  const std::int64_t packs = shape[3] / width;
  const unsigned blocks_per_row = blocks_for(shape[2] * packs, kThreads);
  const auto image_rows = static_cast<unsigned>(shape[0] * shape[1]);
  launch({.grid = image_rows * blocks_per_row, .block = kThreads, .stream = stream}, kernel,
         geometry_of(geometry), Rows{Divisor(blocks_per_row), Divisor(shape[1]), Divisor(packs)},
         arguments...);
}

}  // namespace

Plan plan(const MaxPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const MaxPool2dBackward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dForward&, const Device&) { return {.variant = "gather"}; }
Plan plan(const AvgPool2dBackward&, const Device&) { return {.variant = "gather"}; }

void run(const MaxPool2dForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("max_pool2d", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<int N>(Width<N>) {
      launch_rows(op.geometry.output_shape(), N, stream, max_gather<T, N>, op.geometry,
                  static_cast<const T*>(op.x), static_cast<T*>(op.y), op.indices);
    };
    with_channel_packs<T>(op.geometry.channels, go, op.x, op.y, op.indices);
  });
}

void run(const MaxPool2dBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("max_pool2d", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<int N>(Width<N>) {
      launch_rows(op.geometry.input_shape(), N, stream, max_gather_gradient<T, N>, op.geometry,
                  static_cast<const T*>(op.dy), op.indices, static_cast<T*>(op.dx), op.accumulate);
    };
    with_channel_packs<T>(op.geometry.channels, go, op.dy, op.indices, op.dx);
  });
}

void run(const AvgPool2dForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("avg_pool2d", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<int N>(Width<N>) {
      launch_rows(op.geometry.output_shape(), N, stream, average_gather<T, N>, op.geometry,
                  static_cast<const T*>(op.x), static_cast<T*>(op.y));
    };
    with_channel_packs<T>(op.geometry.channels, go, op.x, op.y);
  });
}

void run(const AvgPool2dBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("avg_pool2d", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<int N>(Width<N>) {
      launch_rows(op.geometry.input_shape(), N, stream, average_gather_gradient<T, N>, op.geometry,
                  static_cast<const T*>(op.dy), static_cast<T*>(op.dx), op.accumulate);
    };
    with_channel_packs<T>(op.geometry.channels, go, op.dy, op.dx);
  });
}

}  // namespace convoy::CONVOY_TARGET
