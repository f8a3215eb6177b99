// SPDX-License-Identifier: MIT
// Two passes forward (moments, then apply) and two backward (sums, then apply), each with a kernel
// of a thread per channel between them. Moments are taken about the channel's first value, in sums
// that carry what f32 rounds off: safe for any mean.
#include "kernels/batch_norm.h"

#include "kernels/copy.h"
#include "kernels/gpu/column_sums.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256;
constexpr int kApplyRows = 64;  // of a block that applies

template <class T>
__device__ __forceinline__ float value_or(const T* values, std::int64_t c, float missing) {
  return values == nullptr ? missing : widen(values[c]);
}

template <class T>
struct Moments {
  const T* x;
  std::int64_t channels;
  __device__ void add(std::int64_t row, std::int64_t c, LongSum& sum, LongSum& square) const {
    const float d = widen(x[row * channels + c]) - widen(x[c]);
    sum.add(d);
    square.add_product(d, d);
  }
};

__device__ __forceinline__ void move_running(float* running, std::int64_t c, double momentum,
                                             double batch) {
  if (running == nullptr) return;
  running[c] =
      static_cast<float>((1 - momentum) * static_cast<double>(running[c]) + momentum * batch);
}

struct Statistics {
  float *mean, *rstd, *running_mean, *running_var;  // the last two may be null
  double momentum, eps;
};

// What the batch gives.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_moments(std::int64_t rows, std::int64_t channels, const T* x, const double* partial,
                   unsigned splits, Statistics out) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  const double n = static_cast<double>(rows);
  const double off = column_total(partial, splits, 0, channels, c) / n;
  const double square = column_total(partial, splits, 1, channels, c) / n;
  const double mean = static_cast<double>(widen(x[c])) + off;
  const double var = max(square - off * off, 0.0);
  out.mean[c] = static_cast<float>(mean);
  out.rstd[c] = static_cast<float>(1 / sqrt(var + out.eps));
  move_running(out.running_mean, c, out.momentum, mean);
  move_running(out.running_var, c, out.momentum, var * (n / (n - 1)));
}

// Inference: the running estimates stand in for the batch's.
__global__ void __launch_bounds__(kThreads) take_running(std::int64_t channels, Statistics out) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  out.mean[c] = out.running_mean[c];
  out.rstd[c] = static_cast<float>(1 / sqrt(static_cast<double>(out.running_var[c]) + out.eps));
}

// One channel's map from x to what the ReLU sees, in one order of operations wherever it is needed.
struct Affine {
  float mean, rstd, scale, bias;
  __device__ float operator()(float x) const { return fmaf((x - mean) * rstd, scale, bias); }
};

// f(row) for this thread's rows: a warp has 32 channels and every eighth row.
template <class F>
__device__ __forceinline__ void for_each_row(std::int64_t rows, F&& f) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * kApplyRows;
  const std::int64_t end = min(begin + kApplyRows, rows);
  for (std::int64_t r = begin + warp_index(); inside(r, end); r += kThreads / kWarp) f(r);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    normalise(std::int64_t rows, std::int64_t channels, const T* x, const T* residual,
              const T* scale, const T* bias, const float* mean, const float* rstd, bool relu,
              T* y) {
  const std::int64_t c = std::int64_t{blockIdx.y} * kWarp + lane_index();
  if (!inside(c, channels)) return;
  const Affine affine{mean[c], rstd[c], value_or(scale, c, 1), value_or(bias, c, 0)};
  for_each_row(rows, [&](std::int64_t row) {
    const std::int64_t i = row * channels + c;
    const float v = affine(widen(x[i])) + value_or(residual, i, 0);
    y[i] = narrow<T>(relu && v < 0 ? 0 : v);  // the comparison keeps a NaN
  });
}

// The gradient behind the activation. Without y the ReLU's input is computed again, and rounded as
// y was.
template <class T>
struct Masked {
  const T *x, *y, *dy, *scale, *bias;
  const float *mean, *rstd;
  std::int64_t channels;
  bool relu;

  __device__ Affine affine(std::int64_t c) const {
    return {mean[c], rstd[c], value_or(scale, c, 1), value_or(bias, c, 0)};
  }
  __device__ float gradient(std::int64_t i, const Affine& affine) const {
    const float g = widen(dy[i]);
    if (!relu) return g;
    const float out = y != nullptr ? widen(y[i]) : widen(narrow<T>(affine(widen(x[i]))));
    return out > 0 ? g : 0;
  }
  // Sums of g and of g * (x - mean).
  __device__ void add(std::int64_t row, std::int64_t c, LongSum& sum, LongSum& dot) const {
    const std::int64_t i = row * channels + c;
    const float g = gradient(i, affine(c));
    sum.add(g);
    dot.add(g * (widen(x[i]) - mean[c]));
  }
};

template <class T>
__device__ __forceinline__ void put(T* out, std::int64_t i, float value, bool accumulate) {
  if (out != nullptr) out[i] = narrow<T>(accumulate ? widen(out[i]) + value : value);
}

// dx = gain * (g - level - (x - mean) * slope); level and slope are 0 where the statistics were
// constants.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_sums(std::int64_t rows, std::int64_t channels, const double* partial, unsigned splits,
                const float* rstd, bool training, Results<T> d_scale, bool accumulate_scale,
                Results<T> d_bias, bool accumulate_bias, float* level, float* slope) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  const double sum = column_total(partial, splits, 0, channels, c);
  const double dot = column_total(partial, splits, 1, channels, c);
  const double r = rstd[c], per_row = training ? 1 / static_cast<double>(rows) : 0;
  if (d_scale.data) d_scale.put(c, static_cast<float>(dot * r), accumulate_scale);
  if (d_bias.data) d_bias.put(c, static_cast<float>(sum), accumulate_bias);
  level[c] = static_cast<float>(sum * per_row);
  slope[c] = static_cast<float>(dot * r * r * per_row);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    write_gradients(std::int64_t rows, Masked<T> in, const float* level, const float* slope, T* dx,
                    bool accumulate, T* d_residual, bool accumulate_residual) {
  const std::int64_t c = std::int64_t{blockIdx.y} * kWarp + lane_index();
  if (!inside(c, in.channels)) return;
  const Affine affine = in.affine(c);
  const float gain = affine.scale * affine.rstd;
  for_each_row(rows, [&](std::int64_t row) {
    const std::int64_t i = row * in.channels + c;
    const float g = in.gradient(i, affine), d = widen(in.x[i]) - affine.mean;
    put(dx, i, gain * (g - level[c] - d * slope[c]), accumulate);
    put(d_residual, i, g, accumulate_residual);
  });
}

dim3 grid_of_rows(std::int64_t rows, std::int64_t channels) {
  return dim3(blocks_for(rows, kApplyRows), blocks_for(channels, kWarp));
}

// The two rows of floats in front of the partial sums: mean and rstd, or level and slope.
std::size_t row_bytes(std::int64_t channels) {
  return (2 * static_cast<std::size_t>(channels) * sizeof(float) + 63) / 64 * 64;
}
float* row_of(void* workspace, std::int64_t channels, int which) {
  return static_cast<float*>(workspace) + which * channels;
}
double* partial_of(void* workspace, std::int64_t channels) {
  return reinterpret_cast<double*>(static_cast<char*>(workspace) + row_bytes(channels));
}

template <class T>
void run_typed(const BatchNormForward& op, void* workspace, const Stream& stream) {
  const std::int64_t rows = op.rows, channels = op.channels;
  const Statistics out{static_cast<float*>(op.mean ? op.mean : row_of(workspace, channels, 0)),
                       static_cast<float*>(op.rstd ? op.rstd : row_of(workspace, channels, 1)),
                       static_cast<float*>(op.running_mean),
                       static_cast<float*>(op.running_var),
                       op.momentum,
                       op.eps};
  const T* const x = static_cast<const T*>(op.x);
  const unsigned blocks = blocks_for(channels, kThreads);
  if (op.training) {
    const RowSplits splits = row_splits(rows, channels, stream.device);
    double* const partial = partial_of(workspace, channels);
    launch_column_sums(Moments<T>{x, channels}, rows, channels, splits, partial, stream);
    launch({.grid = blocks, .block = kThreads, .stream = stream}, finish_moments<T>, rows, channels,
           x, partial, splits.count, out);
  } else {
    launch({.grid = blocks, .block = kThreads, .stream = stream}, take_running, channels, out);
  }
  launch({.grid = grid_of_rows(rows, channels), .block = kThreads, .stream = stream}, normalise<T>,
         rows, channels, x, static_cast<const T*>(op.residual), static_cast<const T*>(op.scale),
         static_cast<const T*>(op.bias), out.mean, out.rstd, op.relu, static_cast<T*>(op.y));
}

template <class T>
void run_typed(const BatchNormBackward& op, void* workspace, const Stream& stream) {
  const std::int64_t rows = op.rows, channels = op.channels;
  const Masked<T> in{static_cast<const T*>(op.x),
                     static_cast<const T*>(op.y),
                     static_cast<const T*>(op.dy),
                     static_cast<const T*>(op.scale),
                     static_cast<const T*>(op.bias),
                     static_cast<const float*>(op.mean),
                     static_cast<const float*>(op.rstd),
                     channels,
                     op.relu};
  const RowSplits splits = row_splits(rows, channels, stream.device);
  const bool in_f32 =
      result_dtype("batch_norm", "grad_dtype", op.dtype, op.grad_dtype) == DType::f32;
  double* const partial = partial_of(workspace, channels);
  float *const level = row_of(workspace, channels, 0), *const slope =
                                                           row_of(workspace, channels, 1);
  launch_column_sums(in, rows, channels, splits, partial, stream);
  launch({.grid = blocks_for(channels, kThreads), .block = kThreads, .stream = stream},
         finish_sums<T>, rows, channels, partial, splits.count, in.rstd, op.training,
         Results<T>{op.d_scale, in_f32}, op.accumulate_scale, Results<T>{op.d_bias, in_f32},
         op.accumulate_bias, level, slope);
  if (op.dx == nullptr && op.d_residual == nullptr) return;
  launch({.grid = grid_of_rows(rows, channels), .block = kThreads, .stream = stream},
         write_gradients<T>, rows, in, level, slope, static_cast<T*>(op.dx), op.accumulate,
         static_cast<T*>(op.d_residual), op.accumulate_residual);
}

// Of no values at all.
void clear(void* statistics, std::int64_t channels, const Stream& stream) {
  if (statistics == nullptr) return;
  CONVOY_TARGET::run(Fill{channels, statistics, 0.0, DType::f32}, {}, nullptr, stream);
}

}  // namespace

Plan plan(const BatchNormForward& op, const Device& device) {
  const RowSplits splits = row_splits(op.rows, op.channels, device);
  return {
      .variant = "columns",
      .workspace_bytes = row_bytes(op.channels) + (op.training ? splits.bytes(op.channels) : 0)};
}

Plan plan(const BatchNormBackward& op, const Device& device) {
  const RowSplits splits = row_splits(op.rows, op.channels, device);
  return {.variant = "columns",
          .workspace_bytes = row_bytes(op.channels) + splits.bytes(op.channels)};
}

void run(const BatchNormForward& op, const Plan&, void* workspace, const Stream& stream) {
  require_statistics(op);
  with_dtype("batch_norm", op.dtype, [&]<class T>(Type<T>) {
    if (op.rows > 0) return run_typed<T>(op, workspace, stream);
    clear(op.mean, op.channels, stream);
    clear(op.rstd, op.channels, stream);
  });
}

void run(const BatchNormBackward& op, const Plan&, void* workspace, const Stream& stream) {
  with_dtype("batch_norm", op.dtype,
             [&]<class T>(Type<T>) { run_typed<T>(op, workspace, stream); });
}

}  // namespace convoy::CONVOY_TARGET
