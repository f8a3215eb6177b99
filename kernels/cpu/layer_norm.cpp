// SPDX-License-Identifier: MIT
// A row stays in the first-level cache, so mean, variance and the rest are separate loops over it,
// and memory is passed once each way. The parameters' gradients sum over rows: per chunk of rows,
// in working precision for kBlockRows at a time, then in double.
#include "kernels/layer_norm.h"

#include <cmath>

#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kBlockRows = 128;

std::int64_t grain_rows(std::int64_t channels) {
  return (1 << 13) / std::max<std::int64_t>(channels, 1) + 1;
}

template <class T>
void forward_row(const LayerNormForward& op, std::int64_t row) {
  const std::int64_t C = op.channels;
  const T* x = static_cast<const T*>(op.x) + row * C;
  T* y = static_cast<T*>(op.y) + row * C;
  const T *scale = static_cast<const T*>(op.scale), *bias = static_cast<const T*>(op.bias);
  T sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c) sum += x[c];
  const T mean = sum / static_cast<T>(C);
#pragma omp simd reduction(+ : square)
  for (std::int64_t c = 0; c < C; ++c) square += (x[c] - mean) * (x[c] - mean);
  const T rstd = 1 / std::sqrt(square / static_cast<T>(C) + static_cast<T>(op.eps));
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c) {
    const T v = (x[c] - mean) * rstd;
    y[c] = (scale ? v * scale[c] : v) + (bias ? bias[c] : T{0});
  }
  static_cast<T*>(op.mean)[row] = mean;
  static_cast<T*>(op.rstd)[row] = rstd;
}

template <class T>
void forward(const LayerNormForward& op) {
  parallel_for(op.rows, grain_rows(op.channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) forward_row<T>(op, row);
  });
}

// How the backward cuts the rows, and its scratch: per chunk, sums for scale and bias.
template <class T>
struct Scratch {
  Scratch(const LayerNormBackward& op, void* workspace) : rows(op.rows), channels(op.channels) {
    chunks = std::clamp<std::int64_t>(rows * channels / (1 << 14), 1, 64);
    chunks = std::min(chunks, std::max<std::int64_t>(rows, 1));
    Carver carve(workspace);
    total = carve.take<double>(chunks * 2 * channels);
    block = carve.take<T>(chunks * 2 * channels);
    bytes = carve.used();
  }
  std::int64_t rows, channels, chunks;
  double* total;  // [chunks, 2, channels]
  T* block;       // [chunks, 2, channels]
  std::size_t bytes;
};

// With g = dy * scale and n = (x - mean) * rstd:  dx = rstd * (g - mean(g) - n * mean(g * n)).
// Adds dy * n to d_scale and dy to d_bias.
template <class T>
void backward_row(const LayerNormBackward& op, std::int64_t row, T* d_scale, T* d_bias) {
  const std::int64_t C = op.channels;
  const T *x = static_cast<const T*>(op.x) + row * C, *dy = static_cast<const T*>(op.dy) + row * C;
  const T* scale = static_cast<const T*>(op.scale);
  const T mean = static_cast<const T*>(op.mean)[row], rstd = static_cast<const T*>(op.rstd)[row];
  T sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (std::int64_t c = 0; c < C; ++c) {
    const T n = (x[c] - mean) * rstd, g = scale ? dy[c] * scale[c] : dy[c];
    sum += g;
    dot += g * n;
    d_scale[c] += dy[c] * n;
    d_bias[c] += dy[c];
  }
  if (op.dx == nullptr) return;
  T* dx = static_cast<T*>(op.dx) + row * C;
  const T level = sum / static_cast<T>(C), slope = dot / static_cast<T>(C);
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c) {
    const T n = (x[c] - mean) * rstd, g = scale ? dy[c] * scale[c] : dy[c];
    const T v = rstd * (g - level - n * slope);
    dx[c] = op.accumulate ? dx[c] + v : v;
  }
}

template <class T>
void backward_chunk(const LayerNormBackward& op, const Scratch<T>& s, std::int64_t chunk) {
  const std::int64_t C = op.channels, end = op.rows * (chunk + 1) / s.chunks;
  double* total = s.total + chunk * 2 * C;
  T* block = s.block + chunk * 2 * C;
  std::fill_n(total, 2 * C, 0.0);
  for (std::int64_t row = op.rows * chunk / s.chunks; row < end;) {
    std::fill_n(block, 2 * C, T{0});
    const std::int64_t stop = std::min(end, row + kBlockRows);
    for (; row < stop; ++row) backward_row(op, row, block, block + C);
    for (std::int64_t c = 0; c < 2 * C; ++c) total[c] += static_cast<double>(block[c]);
  }
}

template <class T>
void put(void* out, const double* values, std::int64_t count, bool accumulate) {
  T* y = static_cast<T*>(out);
  for (std::int64_t c = 0; y != nullptr && c < count; ++c) {
    y[c] = static_cast<T>(accumulate ? static_cast<double>(y[c]) + values[c] : values[c]);
  }
}

template <class T>
void backward(const LayerNormBackward& op, void* workspace) {
  const Scratch<T> s(op, workspace);
  parallel_for(s.chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) backward_chunk(op, s, chunk);
  });
  for (std::int64_t chunk = 1; chunk < s.chunks; ++chunk) {
    const double* part = s.total + chunk * 2 * op.channels;
    for (std::int64_t c = 0; c < 2 * op.channels; ++c) s.total[c] += part[c];
  }
  put<T>(op.d_scale, s.total, op.channels, op.accumulate_scale);
  put<T>(op.d_bias, s.total + op.channels, op.channels, op.accumulate_bias);
}

}  // namespace

Plan plan(const LayerNormForward&, const Device&) { return {.variant = "row"}; }

Plan plan(const LayerNormBackward& op, const Device&) {
  result_dtype("layer_norm", "grad_dtype", op.dtype, op.grad_dtype);
  return with_float(op.dtype, [&]<class T>(Type<T>) {
    return Plan{.variant = "row", .workspace_bytes = Scratch<T>(op, nullptr).bytes};
  });
}

void run(const LayerNormForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { forward<T>(op); });
}

void run(const LayerNormBackward& op, const Plan&, void* workspace, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { backward<T>(op, workspace); });
}

}  // namespace convoy::on_cpu
