// SPDX-License-Identifier: MIT
// A team of threads per row: mean, then variance about it, then the result; the row is in the cache
// after the first pass. The gradients of scale and bias are sums over rows.
#include "kernels/layer_norm.h"

#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/row_team.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256;

template <class T>
__device__ __forceinline__ float value_or(const T* values, std::int64_t c, float missing) {
  return values == nullptr ? missing : widen(values[c]);
}

template <class Team>
struct Storage {
  typename Team::template Scratch<double> first, second;
};

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    normalise_row(std::int64_t rows, std::int64_t channels, const T* x, const T* scale,
                  const T* bias, double eps, float* mean_of, float* rstd_of, T* y) {
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), first = row * channels;
  const bool works = inside(row, rows);
  const std::int64_t length = works ? channels : 0;
  const double n = static_cast<double>(channels);
  LongSum sum, square;
  for (std::int64_t c = Team::rank(); inside(c, length); c += Team::kSize) {
    sum.add(widen(x[first + c]));
  }
  const auto mean = static_cast<float>(Team::fold(sum.value(), s.first, Add{}) / n);
  for (std::int64_t c = Team::rank(); inside(c, length); c += Team::kSize) {
    const float d = widen(x[first + c]) - mean;
    square.add(d * d);
  }
  const double var = Team::fold(square.value(), s.second, Add{}) / n;
  const auto rstd = static_cast<float>(1 / sqrt(var + eps));
  for (std::int64_t c = Team::rank(); inside(c, length); c += Team::kSize) {
    const float v = (widen(x[first + c]) - mean) * rstd;
    y[first + c] = narrow<T>(v * value_or(scale, c, 1) + value_or(bias, c, 0));
  }
  if (!works || Team::rank() != 0) return;
  mean_of[row] = mean;
  rstd_of[row] = rstd;
}

template <class T>
struct Operands {
  const T *x, *dy, *scale;
  const float *mean, *rstd;
  std::int64_t channels;

  __device__ float normalised(std::int64_t row, std::int64_t c) const {
    return (widen(x[row * channels + c]) - mean[row]) * rstd[row];
  }
  __device__ float gradient(std::int64_t row, std::int64_t c) const {
    return widen(dy[row * channels + c]);
  }
  // The gradients of scale and bias.
  __device__ void add(std::int64_t row, std::int64_t c, LongSum& d_scale, LongSum& d_bias) const {
    const float g = gradient(row, c);
    d_scale.add(g * normalised(row, c));
    d_bias.add(g);
  }
};

// With g = dy * scale and n = (x - mean) * rstd:  dx = rstd * (g - mean(g) - n * mean(g * n)).
template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    gradient_of_row(std::int64_t rows, Operands<T> in, T* dx, bool accumulate) {
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? in.channels : 0;
  LongSum sum, dot;
  for (std::int64_t c = Team::rank(); inside(c, length); c += Team::kSize) {
    const float g = in.gradient(row, c) * value_or(in.scale, c, 1);
    sum.add(g);
    dot.add(g * in.normalised(row, c));
  }
  const double n = static_cast<double>(in.channels);
  const auto level = static_cast<float>(Team::fold(sum.value(), s.first, Add{}) / n);
  const auto slope = static_cast<float>(Team::fold(dot.value(), s.second, Add{}) / n);
  for (std::int64_t c = Team::rank(); inside(c, length); c += Team::kSize) {
    const float g = in.gradient(row, c) * value_or(in.scale, c, 1);
    const float value = in.rstd[row] * (g - level - in.normalised(row, c) * slope);
    T& to = dx[row * in.channels + c];
    to = narrow<T>(accumulate ? widen(to) + value : value);
  }
}

template <class T>
__device__ __forceinline__ void put(Results<T> out, std::int64_t c, double value, bool accumulate) {
  if (out.data != nullptr) out.put(c, static_cast<float>(value), accumulate);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_parameters(std::int64_t channels, const double* partial, unsigned splits,
                      Results<T> d_scale, bool accumulate_scale, Results<T> d_bias,
                      bool accumulate_bias) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  put(d_scale, c, column_total(partial, splits, 0, channels, c), accumulate_scale);
  put(d_bias, c, column_total(partial, splits, 1, channels, c), accumulate_bias);
}

template <class T>
void run_typed(const LayerNormBackward& op, void* workspace, const Stream& stream) {
  const Operands<T> in{static_cast<const T*>(op.x),        static_cast<const T*>(op.dy),
                       static_cast<const T*>(op.scale),    static_cast<const float*>(op.mean),
                       static_cast<const float*>(op.rstd), op.channels};
  if (op.dx != nullptr) {
    with_team(op.channels, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             gradient_of_row<T, Team>, op.rows, in, static_cast<T*>(op.dx), op.accumulate);
    });
  }
  if (op.d_scale == nullptr && op.d_bias == nullptr) return;
  const bool in_f32 =
      result_dtype("layer_norm", "grad_dtype", op.dtype, op.grad_dtype) == DType::f32;
  const RowSplits splits = row_splits(op.rows, op.channels, stream.device);
  auto* const partial = static_cast<double*>(workspace);
  launch_column_sums(in, op.rows, op.channels, splits, partial, stream);
  launch({.grid = blocks_for(op.channels, kThreads), .block = kThreads, .stream = stream},
         finish_parameters<T>, op.channels, partial, splits.count, Results<T>{op.d_scale, in_f32},
         op.accumulate_scale, Results<T>{op.d_bias, in_f32}, op.accumulate_bias);
}

}  // namespace

Plan plan(const LayerNormForward&, const Device&) { return {.variant = "row_team"}; }

Plan plan(const LayerNormBackward& op, const Device& device) {
  const RowSplits splits = row_splits(op.rows, op.channels, device);
  return {.variant = "row_team", .workspace_bytes = splits.bytes(op.channels)};
}

void run(const LayerNormForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("layer_norm", op.dtype, [&]<class T>(Type<T>) {
    with_team(op.channels, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             normalise_row<T, Team>, op.rows, op.channels, static_cast<const T*>(op.x),
             static_cast<const T*>(op.scale), static_cast<const T*>(op.bias), op.eps,
             static_cast<float*>(op.mean), static_cast<float*>(op.rstd), static_cast<T*>(op.y));
    });
  });
}

void run(const LayerNormBackward& op, const Plan&, void* workspace, const Stream& stream) {
  with_dtype("layer_norm", op.dtype,
             [&]<class T>(Type<T>) { run_typed<T>(op, workspace, stream); });
}

}  // namespace convoy::CONVOY_TARGET
