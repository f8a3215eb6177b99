// SPDX-License-Identifier: MIT
// Both modes are one loop: output p is (1 - w) x[first] + w x[second], nearest having w = 0. A
// first kernel tabulates these taps for both directions, in double precision; the backward
// tabulates for each input pixel which outputs read it too, and then gathers.
#include "kernels/upsample.h"

#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct Tap {
  int first, second;
  float weight;  // of second
};
struct Range {
  int begin, end;
};

// In the workspace: one entry per output pixel, and per input pixel.
struct Tables {
  Tap *h_taps, *w_taps;
  Range *h_readers, *w_readers;
};

Tables tables_in(void* workspace, const UpsampleGeometry& g) {
  Tables t;
  t.h_taps = static_cast<Tap*>(workspace);
  t.w_taps = t.h_taps + g.h.out;
  t.h_readers = reinterpret_cast<Range*>(t.w_taps + g.w.out);
  t.w_readers = t.h_readers + g.h.in;
  return t;
}

// One direction's.
struct TapMaker {
  UpsampleAxis axis;
  bool nearest, align_corners;
  bool by_size;  // a size was asked for: whole numbers, as in / out in f64 could fall short

  TapMaker(const UpsampleGeometry& g, const UpsampleAxis& a)
      : axis(a),
        nearest(g.mode == UpsampleMode::nearest),
        align_corners(g.align_corners),
        by_size(a.scale == static_cast<double>(a.in) / static_cast<double>(a.out)) {}

  __device__ __forceinline__ Tap operator()(std::int64_t p) const {
    const double at = static_cast<double>(p);
    const std::int64_t last = axis.in - 1;
    if (nearest) {
      const auto scaled = static_cast<std::int64_t>(at * axis.scale);
      const int i = static_cast<int>(min(by_size ? p * axis.in / axis.out : scaled, last));
      return {i, i, 0.0f};
    }
    const double centre = (at + 0.5) * axis.scale - 0.5;
    const double source = align_corners ? at * axis.scale : (centre > 0 ? centre : 0.0);
    const std::int64_t first = min(static_cast<std::int64_t>(source), last);
    return {static_cast<int>(first), static_cast<int>(min(first + 1, last)),
            static_cast<float>(source - static_cast<double>(first))};
  }
};

__global__ void __launch_bounds__(kFlatThreads) tabulate_taps(TapMaker make, Tap* taps) {
  begin_kernel();
  const std::int64_t p = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (inside(p, make.axis.out)) taps[p] = make(p);
}

// The first of `count` taps for which `holds`; taps rise, so those before it do not hold.
template <class Holds>
__device__ __forceinline__ int first_tap(const Tap* taps, std::int64_t count, Holds holds) {
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (holds(taps[middle])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return static_cast<int>(low);
}

__global__ void __launch_bounds__(kFlatThreads)
    tabulate_readers(UpsampleAxis axis, const Tap* taps, Range* readers) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, axis.in)) return;
  readers[i] = {first_tap(taps, axis.out, [&](const Tap& t) { return t.second >= i; }),
                first_tap(taps, axis.out, [&](const Tap& t) { return t.first > i; })};
}

// Nothing of b where its weight is 0: it may be infinite.
__device__ __forceinline__ float between(float a, float b, float weight) {
  return weight == 0.0f ? a : (1.0f - weight) * a + weight * b;
}

// A thread takes N channels of one output pixel.
template <class T, int N>
__global__ void __launch_bounds__(kFlatThreads)
    upsample_gather(const __grid_constant__ UpsampleGeometry g, Tables tables, std::int64_t packs,
                    const T* x, T* y) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, packs)) return;
  const std::int64_t C = g.channels, pixel = i / (C / N), c = (i - pixel * (C / N)) * N;
  const std::int64_t line = pixel / g.w.out, n = line / g.h.out;
  const Tap h = tables.h_taps[line - n * g.h.out], w = tables.w_taps[pixel - line * g.w.out];
  const T* const image = x + n * g.h.in * g.w.in * C + c;
  const auto load = [&](int row, int column, float(&v)[N]) {
    load_floats(image + (row * g.w.in + column) * C, v);
  };
  float top[N], bottom[N], right[N];
  load(h.first, w.first, top);
  load(h.first, w.second, right);
  for (int j = 0; j < N; ++j) top[j] = between(top[j], right[j], w.weight);
  load(h.second, w.first, bottom);
  load(h.second, w.second, right);
  for (int j = 0; j < N; ++j) {
    top[j] = between(top[j], between(bottom[j], right[j], w.weight), h.weight);
  }
  store_floats(y + i * N, top);
}

// What an output with this tap gives to input i.
__device__ __forceinline__ float weight_for(const Tap& t, std::int64_t i) {
  return (t.first == i ? 1.0f - t.weight : 0.0f) + (t.second == i ? t.weight : 0.0f);
}

// A thread takes N channels of one input pixel.
template <class T, int N>
__global__ void __launch_bounds__(kFlatThreads)
    upsample_backward_gather(const __grid_constant__ UpsampleGeometry g, Tables tables,
                             std::int64_t packs, const T* dy, T* dx, bool accumulate) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, packs)) return;
  const std::int64_t C = g.channels, pixel = i / (C / N), c = (i - pixel * (C / N)) * N;
  const std::int64_t line = pixel / g.w.in, n = line / g.h.in;
  const std::int64_t h = line - n * g.h.in, w = pixel - line * g.w.in;
  const Range rows = tables.h_readers[h], columns = tables.w_readers[w];
  float sum[N] = {}, v[N];
  for (std::int64_t p = rows.begin; p < rows.end; ++p) {
    const float row_weight = weight_for(tables.h_taps[p], h);
    for (std::int64_t q = columns.begin; q < columns.end; ++q) {
      const float weight = row_weight * weight_for(tables.w_taps[q], w);
      load_floats(dy + ((n * g.h.out + p) * g.w.out + q) * C + c, v);
      for (int j = 0; j < N; ++j) sum[j] += weight * v[j];
    }
  }
  if (accumulate) {
    load_floats(dx + i * N, v);
    for (int j = 0; j < N; ++j) sum[j] += v[j];
  }
  store_floats(dx + i * N, sum);
}

std::size_t tap_bytes(const UpsampleGeometry& g) {
  return static_cast<std::size_t>(g.h.out + g.w.out) * sizeof(Tap);
}
std::size_t reader_bytes(const UpsampleGeometry& g) {
  return static_cast<std::size_t>(g.h.in + g.w.in) * sizeof(Range);
}

LaunchConfig threads_for(std::int64_t count, const Stream& stream) {
  return {.grid = blocks_for(count, kFlatThreads), .block = kFlatThreads, .stream = stream};
}

void tabulate(const UpsampleGeometry& g, const Tables& tables, const Stream& stream) {
  launch(threads_for(g.h.out, stream), tabulate_taps, TapMaker(g, g.h), tables.h_taps);
  launch(threads_for(g.w.out, stream), tabulate_taps, TapMaker(g, g.w), tables.w_taps);
}

// Calls f with the number of channels that a thread moves at once: kPack or 1.
template <int kPack, class F>
void with_width(const UpsampleGeometry& g, const void* x, const void* y, F&& f) {
  if (g.channels % kPack == 0 && is_packed_aligned(x) && is_packed_aligned(y)) {
    return f(Width<kPack>{});
  }
  f(Width<1>{});
}

}  // namespace

Plan plan(const UpsampleForward& op, const Device&) {
  return {.variant = "gather", .workspace_bytes = tap_bytes(op.geometry)};
}

void run(const UpsampleForward& op, const Plan&, void* workspace, const Stream& stream) {
  const UpsampleGeometry& g = op.geometry;
  const Tables tables = tables_in(workspace, g);
  tabulate(g, tables, stream);
  with_dtype("upsample", op.dtype, [&]<class T>(Type<T>) {
    with_width<Packed<T>::kCount>(g, op.x, op.y, [&]<int N>(Width<N>) {
      const std::int64_t packs = g.output_shape().count() / N;
      launch(threads_for(packs, stream), upsample_gather<T, N>, g, tables, packs,
             static_cast<const T*>(op.x), static_cast<T*>(op.y));
    });
  });
}

Plan plan(const UpsampleBackward& op, const Device&) {
  return {.variant = "gather",
          .workspace_bytes = tap_bytes(op.geometry) + reader_bytes(op.geometry)};
}

void run(const UpsampleBackward& op, const Plan&, void* workspace, const Stream& stream) {
  const UpsampleGeometry& g = op.geometry;
  const Tables tables = tables_in(workspace, g);
  tabulate(g, tables, stream);
  launch(threads_for(g.h.in, stream), tabulate_readers, g.h, tables.h_taps, tables.h_readers);
  launch(threads_for(g.w.in, stream), tabulate_readers, g.w, tables.w_taps, tables.w_readers);
  with_dtype("upsample", op.dtype, [&]<class T>(Type<T>) {
    // Four: with a sum for each, eight would spill registers.
    with_width<4>(g, op.dy, op.dx, [&]<int N>(Width<N>) {
      const std::int64_t packs = g.input_shape().count() / N;
      launch(threads_for(packs, stream), upsample_backward_gather<T, N>, g, tables, packs,
             static_cast<const T*>(op.dy), static_cast<T*>(op.dx), op.accumulate);
    });
  });
}

}  // namespace convoy::CONVOY_TARGET
