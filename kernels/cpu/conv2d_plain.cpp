// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_plain.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// The taps [begin, end) of one axis whose input position start + tap * dilation is inside [0,
// extent).
struct Taps {
  std::int64_t begin, end;
};
Taps taps_inside(std::int64_t start, std::int64_t dilation, std::int64_t taps,
                 std::int64_t extent) {
  const std::int64_t begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const std::int64_t end = start < extent ? (extent - 1 - start) / dilation + 1 : 0;
  return {begin, std::max(begin, std::min(end, taps))};
}

template <class T>
T dot(const T* a, const T* b, std::int64_t n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
void add_scaled(T* y, const T* x, T factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

std::int64_t row_grain(const Conv2dGeometry& g) {
  const std::int64_t work = g.Q * g.K * g.R * g.S * (g.C / g.groups);
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(work, 1));
}

// One output position: all filters.
template <class T>
void forward_position(const Conv2dForward& op, std::int64_t n, std::int64_t p, std::int64_t q) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t Cg = g.C / g.groups, Kg = g.K / g.groups;
  const std::int64_t h0 = p * g.stride_h - g.pad_h, w0 = q * g.stride_w - g.pad_w;
  const Taps rs = taps_inside(h0, g.dilation_h, g.R, g.H);
  const Taps ss = taps_inside(w0, g.dilation_w, g.S, g.W);
  const T *x = static_cast<const T*>(op.x), *weight = static_cast<const T*>(op.weight);
  const T* bias = static_cast<const T*>(op.epilogue.bias);
  T* y = static_cast<T*>(op.y) + ((n * g.P + p) * g.Q + q) * g.K;
  for (std::int64_t k = 0; k < g.K; ++k) {
    T sum = bias ? bias[k] : T(0);
    for (std::int64_t r = rs.begin; r < rs.end; ++r) {
      for (std::int64_t s = ss.begin; s < ss.end; ++s) {
        const std::int64_t h = h0 + r * g.dilation_h, w = w0 + s * g.dilation_w;
        sum += dot(x + ((n * g.H + h) * g.W + w) * g.C + k / Kg * Cg,
                   weight + ((k * g.R + r) * g.S + s) * Cg, Cg);
      }
    }
    y[k] = sum;
  }
}

// One input position: gathers from every output that read it.
template <class T>
void backward_input_position(const Conv2dBackwardInput& op, std::int64_t n, std::int64_t h,
                             std::int64_t w) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t Cg = g.C / g.groups, Kg = g.K / g.groups;
  const T *dy = static_cast<const T*>(op.dy), *weight = static_cast<const T*>(op.weight);
  T* dx = static_cast<T*>(op.dx) + ((n * g.H + h) * g.W + w) * g.C;
  if (!op.accumulate) std::fill(dx, dx + g.C, T(0));
  for (std::int64_t r = 0; r < g.R; ++r) {
    const std::int64_t ph = h + g.pad_h - r * g.dilation_h;
    if (ph < 0 || ph % g.stride_h != 0 || ph / g.stride_h >= g.P) continue;
    for (std::int64_t s = 0; s < g.S; ++s) {
      const std::int64_t qw = w + g.pad_w - s * g.dilation_w;
      if (qw < 0 || qw % g.stride_w != 0 || qw / g.stride_w >= g.Q) continue;
      const T* dy_row = dy + ((n * g.P + ph / g.stride_h) * g.Q + qw / g.stride_w) * g.K;
      for (std::int64_t k = 0; k < g.K; ++k) {
        add_scaled(dx + k / Kg * Cg, weight + ((k * g.R + r) * g.S + s) * Cg, dy_row[k], Cg);
      }
    }
  }
}

// One filter: all its taps.
template <class T>
void backward_weight_filter(const Conv2dBackwardWeight& op, std::int64_t k) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t Cg = g.C / g.groups, Kg = g.K / g.groups;
  const T *x = static_cast<const T*>(op.x) + k / Kg * Cg, *dy = static_cast<const T*>(op.dy) + k;
  T* dw = static_cast<T*>(op.dweight) + k * g.R * g.S * Cg;
  if (!op.accumulate) std::fill(dw, dw + g.R * g.S * Cg, T(0));
  for (std::int64_t row = 0; row < g.N * g.P; ++row) {
    const std::int64_t n = row / g.P, h0 = row % g.P * g.stride_h - g.pad_h;
    const Taps rs = taps_inside(h0, g.dilation_h, g.R, g.H);
    for (std::int64_t q = 0; q < g.Q; ++q) {
      const std::int64_t w0 = q * g.stride_w - g.pad_w;
      const Taps ss = taps_inside(w0, g.dilation_w, g.S, g.W);
      for (std::int64_t r = rs.begin; r < rs.end; ++r) {
        for (std::int64_t s = ss.begin; s < ss.end; ++s) {
          const std::int64_t h = h0 + r * g.dilation_h, w = w0 + s * g.dilation_w;
          add_scaled(dw + (r * g.S + s) * Cg, x + ((n * g.H + h) * g.W + w) * g.C,
                     dy[(row * g.Q + q) * g.K], Cg);
        }
      }
    }
  }
}

}  // namespace

template <class T>
void conv2d_forward_plain(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  parallel_for(g.N * g.P, row_grain(g), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t q = 0; q < g.Q; ++q) forward_position<T>(op, row / g.P, row % g.P, q);
    }
  });
}

template <class T>
void conv2d_backward_input_plain(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  parallel_for(g.N * g.H, row_grain(g), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t w = 0; w < g.W; ++w)
        backward_input_position<T>(op, row / g.H, row % g.H, w);
    }
  });
}

template <class T>
void conv2d_backward_weight_plain(const Conv2dBackwardWeight& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t work = g.N * g.P * g.Q * g.R * g.S * (g.C / g.groups);
  parallel_for(g.K, std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(work, 1)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t k = begin; k < end; ++k) backward_weight_filter<T>(op, k);
               });
}

namespace {
constexpr std::int64_t kBiasBlock = 2048;  // rows a partial sum
}

std::int64_t conv2d_bias_partials(const Conv2dGeometry& g) {
  return (g.N * g.P * g.Q + kBiasBlock - 1) / kBiasBlock * g.K;
}

template <class T>
void conv2d_backward_bias(const Conv2dBackwardWeight& op, T* partial) {
  const std::int64_t K = op.g.K, rows = op.g.N * op.g.P * op.g.Q;
  const std::int64_t blocks = (rows + kBiasBlock - 1) / kBiasBlock;
  const T* dy = static_cast<const T*>(op.dy);
  parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      T* sum = partial + b * K;
      std::fill(sum, sum + K, T(0));
      const std::int64_t last = std::min(rows, (b + 1) * kBiasBlock);
      for (std::int64_t row = b * kBiasBlock; row < last; ++row) {
        add_scaled(sum, dy + row * K, T(1), K);
      }
    }
  });
  T* dbias = static_cast<T*>(op.dbias);
  if (!op.accumulate_bias) std::fill(dbias, dbias + K, T(0));
  for (std::int64_t b = 0; b < blocks; ++b) add_scaled(dbias, partial + b * K, T(1), K);
}

template void conv2d_forward_plain<float>(const Conv2dForward&);
template void conv2d_forward_plain<double>(const Conv2dForward&);
template void conv2d_backward_input_plain<float>(const Conv2dBackwardInput&);
template void conv2d_backward_input_plain<double>(const Conv2dBackwardInput&);
template void conv2d_backward_weight_plain<float>(const Conv2dBackwardWeight&);
template void conv2d_backward_weight_plain<double>(const Conv2dBackwardWeight&);
template void conv2d_backward_bias<float>(const Conv2dBackwardWeight&, float*);
template void conv2d_backward_bias<double>(const Conv2dBackwardWeight&, double*);

}  // namespace convoy::on_cpu
