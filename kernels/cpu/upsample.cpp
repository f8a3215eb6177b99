// SPDX-License-Identifier: MIT
// Both modes are one loop: output p is (1 - w) * x[first] + w * x[second], nearest having w == 0.
// Those taps, and for the backward the range of outputs that read an input pixel, are tabulated
// per direction in the workspace.
#include "kernels/upsample.h"

#include <cmath>

#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

struct Tap {
  std::int64_t first, second;
  double weight;  // of second
};

struct Range {
  std::int64_t begin, end;
};

Tap tap(const UpsampleGeometry& g, const UpsampleAxis& a, std::int64_t p) {
  const double at = static_cast<double>(p);
  if (g.mode == UpsampleMode::nearest) {
    // Where a size was asked for, whole numbers: in / out in floating point could fall short.
    const bool by_size = a.scale == static_cast<double>(a.in) / static_cast<double>(a.out);
    const std::int64_t i =
        by_size ? p * a.in / a.out : static_cast<std::int64_t>(std::floor(at * a.scale));
    return {std::min(i, a.in - 1), std::min(i, a.in - 1), 0};
  }
  const double source = g.align_corners ? at * a.scale : std::max((at + 0.5) * a.scale - 0.5, 0.0);
  const std::int64_t first = std::min(static_cast<std::int64_t>(source), a.in - 1);
  return {first, std::min(first + 1, a.in - 1), std::min(source - static_cast<double>(first), 1.0)};
}

// Tables of one direction.
struct Table {
  Table(const UpsampleAxis& axis, Carver& carve)
      : taps(carve.take<Tap>(axis.out)), readers(carve.take<Range>(axis.in)) {}

  void fill(const UpsampleGeometry& g, const UpsampleAxis& a) {
    for (std::int64_t i = 0; i < a.in; ++i) readers[i] = {a.out, 0};
    for (std::int64_t p = 0; p < a.out; ++p) {
      taps[p] = tap(g, a, p);
      for (const std::int64_t i : {taps[p].first, taps[p].second}) {
        readers[i] = {std::min(readers[i].begin, p), p + 1};
      }
    }
  }
  // What output p gives to input i.
  double weight(std::int64_t p, std::int64_t i) const {
    const Tap& t = taps[p];
    return (t.first == i ? 1 - t.weight : 0) + (t.second == i ? t.weight : 0);
  }

  Tap* taps;       // [out]
  Range* readers;  // [in]; taps rise with p, so the readers of a pixel are neighbours
};

struct Tables {
  Tables(const UpsampleGeometry& g, void* workspace)
      : carve(workspace), h(g.h, carve), w(g.w, carve) {}
  void fill(const UpsampleGeometry& g) {
    h.fill(g, g.h);
    w.fill(g, g.w);
  }
  Carver carve;
  Table h, w;
};

std::int64_t grain_rows(std::int64_t elements) {
  return (1 << 13) / std::max<std::int64_t>(elements, 1) + 1;
}

template <class T>
void forward(const UpsampleForward& op, const Tables& tables) {
  const UpsampleGeometry& g = op.geometry;
  const std::int64_t C = g.channels, row_size = g.w.in * C;
  parallel_for(g.batch * g.h.out, grain_rows(g.w.out * C),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const Tap h = tables.h.taps[row % g.h.out];
                   const T* image = static_cast<const T*>(op.x) + row / g.h.out * g.h.in * row_size;
                   const T *top = image + h.first * row_size, *bottom = image + h.second * row_size;
                   T* y = static_cast<T*>(op.y) + row * g.w.out * C;
                   for (std::int64_t q = 0; q < g.w.out; ++q, y += C) {
                     const Tap w = tables.w.taps[q];
                     if (h.weight == 0 && w.weight == 0) {
                       std::copy_n(top + w.first * C, C, y);
                       continue;
                     }
                     const T down = static_cast<T>(h.weight), right = static_cast<T>(w.weight);
                     const T *a = top + w.first * C, *b = top + w.second * C;
                     const T *c = bottom + w.first * C, *d = bottom + w.second * C;
#pragma omp simd
                     for (std::int64_t k = 0; k < C; ++k) {
                       y[k] = (1 - down) * ((1 - right) * a[k] + right * b[k]) +
                              down * ((1 - right) * c[k] + right * d[k]);
                     }
                   }
                 }
               });
}

template <class T>
void backward_pixel(const UpsampleBackward& op, const Tables& tables, std::int64_t n,
                    std::int64_t h, std::int64_t w) {
  const UpsampleGeometry& g = op.geometry;
  const std::int64_t C = g.channels;
  T* dx = static_cast<T*>(op.dx) + ((n * g.h.in + h) * g.w.in + w) * C;
  if (!op.accumulate) std::fill_n(dx, C, T{0});
  const Range ps = tables.h.readers[h], qs = tables.w.readers[w];
  for (std::int64_t p = ps.begin; p < ps.end; ++p) {
    for (std::int64_t q = qs.begin; q < qs.end; ++q) {
      const T weight = static_cast<T>(tables.h.weight(p, h) * tables.w.weight(q, w));
      const T* dy = static_cast<const T*>(op.dy) + ((n * g.h.out + p) * g.w.out + q) * C;
#pragma omp simd
      for (std::int64_t k = 0; k < C; ++k) dx[k] += weight * dy[k];
    }
  }
}

template <class T>
void backward(const UpsampleBackward& op, const Tables& tables) {
  const UpsampleGeometry& g = op.geometry;
  const std::int64_t grain = grain_rows(g.w.in * g.channels);
  parallel_for(g.batch * g.h.in, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t w = 0; w < g.w.in; ++w) {
        backward_pixel<T>(op, tables, row / g.h.in, row % g.h.in, w);
      }
    }
  });
}

}  // namespace

Plan plan(const UpsampleForward& op, const Device&) {
  return {.variant = "gather", .workspace_bytes = Tables(op.geometry, nullptr).carve.used()};
}
Plan plan(const UpsampleBackward& op, const Device&) {
  return {.variant = "gather", .workspace_bytes = Tables(op.geometry, nullptr).carve.used()};
}

void run(const UpsampleForward& op, const Plan&, void* workspace, const Stream&) {
  Tables tables(op.geometry, workspace);
  tables.fill(op.geometry);
  with_float(op.dtype, [&]<class T>(Type<T>) { forward<T>(op, tables); });
}
void run(const UpsampleBackward& op, const Plan&, void* workspace, const Stream&) {
  Tables tables(op.geometry, workspace);
  tables.fill(op.geometry);
  with_float(op.dtype, [&]<class T>(Type<T>) { backward<T>(op, tables); });
}

}  // namespace convoy::on_cpu
