// SPDX-License-Identifier: MIT
// Two passes forward (moments, then apply) and two backward (sums, then apply), each with a kernel
// of a thread per channel between them, which leaves the channel's line of numbers for the second
// (norm_line.cuh). Moments are taken about the channel's first value, in sums that carry what f32
// rounds off: safe for any mean.
#include "kernels/batch_norm.h"

#include "kernels/copy.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/ladder.h"
#include "kernels/gpu/norm_line.cuh"
#include "kernels/gpu/vendor.h"
#include "kernels/norm_act.h"

namespace convoy {
CONVOY_LADDER(BatchNormForward)
CONVOY_LADDER(BatchNormBackward)
}  // namespace convoy

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256;

template <class T>
struct Moments {
  const T* x;

  template <int N>
  struct Pack {
    const T* x;
    float shift[N];
    __device__ Pack(const Moments& all, std::int64_t c) : x(all.x) { load_floats(x + c, shift); }
    __device__ void add(std::int64_t, std::int64_t i, LongSum (&sum)[N],
                        LongSum (&square)[N]) const {
      float v[N];
      load_floats(x + i, v);
      for (int j = 0; j < N; ++j) {
        const float d = v[j] - shift[j];
        sum[j].add(d);
        square[j].add_product(d, d);
      }
    }
  };
};

template <class T>
struct Statistics {
  const T *scale, *bias;
  float *mean, *rstd, *running_mean, *running_var;  // each may be null
  double momentum, eps;
  NormLine* lines;

  __device__ void put(std::int64_t c, float batch_mean, double var) const {
    const auto r = static_cast<float>(1 / sqrt(var + eps));
    if (mean != nullptr) mean[c] = batch_mean;
    if (rstd != nullptr) rstd[c] = r;
    lines[c] = {batch_mean, value_or(scale, c, 1) * r, value_or(bias, c, 0), r};
  }
  __device__ void move(std::int64_t c, double batch_mean, double unbiased_var) const {
    move_running(running_mean, c, momentum, batch_mean);
    move_running(running_var, c, momentum, unbiased_var);
  }
};

struct BatchMoments {
  double rows, mean, var;
};

template <class T>
__device__ __forceinline__ BatchMoments batch_moments(std::int64_t rows, std::int64_t channels,
                                                      const T* x, const double* partial,
                                                      unsigned splits, std::int64_t c) {
  const double n = static_cast<double>(rows);
  const double off = column_total(partial, splits, 0, channels, c) / n;
  const double square = column_total(partial, splits, 1, channels, c) / n;
  return {n, static_cast<double>(widen(x[c])) + off, max(square - off * off, 0.0)};
}

// What the batch gives.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_moments(std::int64_t rows, std::int64_t channels, const T* x, const double* partial,
                   unsigned splits, Statistics<T> out) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  const BatchMoments batch = batch_moments(rows, channels, x, partial, splits, c);
  out.put(c, static_cast<float>(batch.mean), batch.var);
  out.move(c, batch.mean, batch.var * (batch.rows / (batch.rows - 1)));
}

// What the other ranks are told.
template <class T>
__global__ void __launch_bounds__(kThreads)
    put_own_moments(std::int64_t rows, std::int64_t channels, const T* x, const double* partial,
                    unsigned splits, double* own) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c == 0) own[0] = static_cast<double>(rows);
  if (!inside(c, channels)) return;
  const BatchMoments mine = batch_moments(rows, channels, x, partial, splits, c);
  own[1 + c] = mine.mean;
  own[1 + channels + c] = mine.var * mine.rows;
}

// What all ranks' rows give.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_moments_of_ranks(std::int64_t channels, SumsOfRanks moments, Statistics<T> out) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  const ChannelMoments all = moments_over_ranks(moments, channels, c);
  const double var = all.squares / all.rows;
  out.put(c, static_cast<float>(all.mean), var);
  out.move(c, all.mean, var * all.unbias());
}

// Inference: the running estimates stand in for the batch's.
template <class T>
__global__ void __launch_bounds__(kThreads) take_running(std::int64_t channels, Statistics<T> out) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (inside(c, channels)) out.put(c, out.running_mean[c], out.running_var[c]);
}

// The gradient behind the activation. Without y the ReLU's input is computed again, and rounded as
// y was.
template <class T>
struct Masked {
  const T *x, *y, *dy, *scale, *bias;
  const float *mean, *rstd;
  bool relu;

  __device__ NormLine line(std::int64_t c) const {
    return {mean[c], value_or(scale, c, 1) * rstd[c], value_or(bias, c, 0), rstd[c]};
  }
  // Of N elements: x, and dy where y is above zero.
  template <int N>
  __device__ void load(std::int64_t i, const NormLine (&lines)[N], float (&v)[N],
                       float (&g)[N]) const {
    load_floats(x + i, v);
    load_floats(dy + i, g);
    if (relu) mask(y, i, lines, v, g);
  }

  // Sums of g and of g * (x - mean).
  template <int N>
  struct Pack {
    Masked all;
    NormLine lines[N];
    __device__ Pack(const Masked& masked, std::int64_t c) : all(masked) {
      for (int j = 0; j < N; ++j) lines[j] = all.line(c + j);
    }
    __device__ void add(std::int64_t, std::int64_t i, LongSum (&sum)[N], LongSum (&dot)[N]) const {
      float v[N], g[N];
      all.load(i, lines, v, g);
      for (int j = 0; j < N; ++j) {
        sum[j].add(g[j]);
        dot[j].add(g[j] * (v[j] - lines[j].mean));
      }
    }
  };
};

// Level and slope of the line (norm_line.cuh) are 0 where the statistics were constants.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_sums(std::int64_t rows, std::int64_t channels, const double* partial, unsigned splits,
                bool training, Results<T> d_scale, bool accumulate_scale, Results<T> d_bias,
                bool accumulate_bias, Masked<T> in, NormGradientLine* lines, double* own) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  const double sum = column_total(partial, splits, 0, channels, c);
  const double dot = column_total(partial, splits, 1, channels, c);
  const NormLine line = in.line(c);
  const double r = line.rstd, per_row = training ? 1 / static_cast<double>(rows) : 0;
  if (d_scale.data) d_scale.put(c, static_cast<float>(dot * r), accumulate_scale);
  if (d_bias.data) d_bias.put(c, static_cast<float>(sum), accumulate_bias);
  if (own != nullptr) own[c] = sum, own[channels + c] = dot;
  lines[c] = {line.mean, line.gain, static_cast<float>(sum * per_row),
              static_cast<float>(dot * r * r * per_row)};
}

// The same from the sums of all ranks.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_sums_of_ranks(std::int64_t channels, SumsOfRanks sums, SumsOfRanks moments, Masked<T> in,
                         NormGradientLine* lines) {
  const std::int64_t c = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (!inside(c, channels)) return;
  double sum = 0, dot = 0, rows = 0;
  for (std::int64_t r = 0; r < sums.ranks; ++r) {
    sum += sums.each[2 * r * channels + c];
    dot += sums.each[(2 * r + 1) * channels + c];
    rows += moments.each[r * (1 + 2 * channels)];
  }
  const NormLine line = in.line(c);
  const double r = line.rstd;
  lines[c] = {line.mean, line.gain, static_cast<float>(sum / rows),
              static_cast<float>(dot * r * r / rows)};
}

template <class T, int N>
__device__ __forceinline__ void put_pack(T* out, std::int64_t i, float (&v)[N], bool accumulate) {
  if (out == nullptr) return;
  float old[N];
  if (accumulate) load_floats(out + i, old);
  for (int j = 0; j < N; ++j) v[j] = accumulate ? old[j] + v[j] : v[j];
  store_floats(out + i, v);
}

template <class T>
struct Gradients {
  T *dx, *d_residual;  // each may be null
  bool accumulate, accumulate_residual;
};

template <class T, int N>
__global__ void __launch_bounds__(kPassThreads)
    write_gradients(Passage p, Masked<T> in, const NormGradientLine* lines_of, Gradients<T> out) {
  NormLine lines[N];
  NormGradientLine through[N];
  for_my_rows<N>(
      p,
      [&](std::int64_t c) {
        for (int j = 0; j < N; ++j) {
          through[j] = load_vector<NormGradientLine>(lines_of + c + j);
          const float bias = in.relu && in.y == nullptr ? value_or(in.bias, c + j, 0) : 0;
          lines[j] = {through[j].mean, through[j].gain, bias, 0};
        }
      },
      [&](std::int64_t i) {
        float x[N], g[N];
        in.load(i, lines, x, g);
        for (int j = 0; j < N; ++j) x[j] = through_norm(through[j], g[j], x[j]);
        put_pack(out.dx, i, x, out.accumulate);
        put_pack(out.d_residual, i, g, out.accumulate_residual);
      });
}

// In the workspace a line per channel, then the partial sums.
std::size_t line_bytes(std::int64_t channels) {
  return static_cast<std::size_t>(channels) * sizeof(NormLine);
}
double* partial_of(void* workspace, std::int64_t channels) {
  return reinterpret_cast<double*>(static_cast<char*>(workspace) + line_bytes(channels));
}

template <class T>
void sum_moments(const BatchNormForward& op, const Statistics<T>& out, double* partial,
                 const Stream& stream) {
  const T* const x = static_cast<const T*>(op.x);
  const RowSplits splits = row_splits(op.rows, op.channels, stream.device);
  with_channel_packs<T>(
      op.channels,
      [&]<int N>(Width<N>) {
        launch_column_sums<N>(Moments<T>{x}, op.rows, op.channels, splits, partial, stream);
      },
      op.x);
  const auto per_channel = [&](auto kernel, const auto& result) {
    launch({.grid = blocks_for(op.channels, kThreads), .block = kThreads, .stream = stream}, kernel,
           op.rows, op.channels, x, partial, splits.count, result);
  };
  if (op.moments.own != nullptr) return per_channel(put_own_moments<T>, op.moments.own);
  per_channel(finish_moments<T>, out);
}

template <class T>
void run_typed(const BatchNormForward& op, void* workspace, const Stream& stream) {
  const Statistics<T> out{static_cast<const T*>(op.scale),
                          static_cast<const T*>(op.bias),
                          static_cast<float*>(op.mean),
                          static_cast<float*>(op.rstd),
                          static_cast<float*>(op.running_mean),
                          static_cast<float*>(op.running_var),
                          op.momentum,
                          op.eps,
                          static_cast<NormLine*>(workspace)};
  if (op.moments.each != nullptr) {
    launch({.grid = blocks_for(op.channels, kThreads), .block = kThreads, .stream = stream},
           finish_moments_of_ranks<T>, op.channels, op.moments, out);
  } else if (op.training) {
    sum_moments(op, out, partial_of(workspace, op.channels), stream);
    if (op.moments.own != nullptr) return;
  } else {
    launch({.grid = blocks_for(op.channels, kThreads), .block = kThreads, .stream = stream},
           take_running<T>, op.channels, out);
  }
  CONVOY_TARGET::run(NormAct{.rows = op.rows,
                             .channels = op.channels,
                             .x = op.x,
                             .lines = out.lines,
                             .residual = op.residual,
                             .residual_lines = nullptr,
                             .y = op.y,
                             .relu = op.relu,
                             .dtype = op.dtype},
                     {}, nullptr, stream);
}

template <class T>
void run_typed(const BatchNormBackward& op, void* workspace, const Stream& stream) {
  const std::int64_t rows = op.rows, channels = op.channels;
  const Masked<T> in{static_cast<const T*>(op.x),        static_cast<const T*>(op.y),
                     static_cast<const T*>(op.dy),       static_cast<const T*>(op.scale),
                     static_cast<const T*>(op.bias),     static_cast<const float*>(op.mean),
                     static_cast<const float*>(op.rstd), op.relu};
  const RowSplits splits = row_splits(rows, channels, stream.device);
  const bool in_f32 =
      result_dtype("batch_norm", "grad_dtype", op.dtype, op.grad_dtype) == DType::f32;
  double* const partial = partial_of(workspace, channels);
  auto* const lines = static_cast<NormGradientLine*>(workspace);
  const auto sum = [&]<int N>(Width<N>) {
    launch_column_sums<N>(in, rows, channels, splits, partial, stream);
  };
  const unsigned grid = blocks_for(channels, kThreads);
  if (op.sums.each != nullptr) {
    launch({.grid = grid, .block = kThreads, .stream = stream}, finish_sums_of_ranks<T>, channels,
           op.sums, op.moments, in, lines);
  } else {
    with_channel_packs<T>(channels, sum, op.x, op.y, op.dy);
    launch({.grid = grid, .block = kThreads, .stream = stream}, finish_sums<T>, rows, channels,
           partial, splits.count, op.training, Results<T>{op.d_scale, in_f32}, op.accumulate_scale,
           Results<T>{op.d_bias, in_f32}, op.accumulate_bias, in, lines, op.sums.own);
  }
  if (op.dx == nullptr && op.d_residual == nullptr) return;
  const Gradients<T> out{static_cast<T*>(op.dx), static_cast<T*>(op.d_residual), op.accumulate,
                         op.accumulate_residual};
  const auto write = [&]<int N>(Width<N>) {
    const Passage p = passage(rows, channels, N);
    launch({.grid = p.grid(N), .block = kPassThreads, .stream = stream}, write_gradients<T, N>, p,
           in, lines, out);
  };
  with_channel_packs<T>(channels, write, op.x, op.y, op.dy, op.dx, op.d_residual);
}

// Vendors do not know of ranks.
bool is_over_ranks(const BatchNormForward& op) {
  return op.moments.own != nullptr || op.moments.each != nullptr;
}
bool is_over_ranks(const BatchNormBackward& op) {
  return op.sums.own != nullptr || op.sums.each != nullptr;
}

// Of no values at all.
void clear(void* statistics, std::int64_t channels, const Stream& stream) {
  if (statistics == nullptr) return;
  CONVOY_TARGET::run(Fill{channels, statistics, 0.0, DType::f32}, {}, nullptr, stream);
}

std::size_t own_bytes(const BatchNormForward& op, const Device& device) {
  const RowSplits splits = row_splits(op.rows, op.channels, device);
  return line_bytes(op.channels) + (op.training ? splits.bytes(op.channels) : 0);
}
std::size_t own_bytes(const BatchNormBackward& op, const Device& device) {
  return line_bytes(op.channels) + row_splits(op.rows, op.channels, device).bytes(op.channels);
}

template <class Op>
std::vector<const char*> own_rungs(const Op&) {
  return {"columns"};
}

template <class Op>
Plan plan_by_name(const Op& op, const Device& device, std::string_view variant) {
  if (is_vendor_rung(op, variant)) return vendor_plan(op, device, variant);
  if (variant != "columns") unknown_rung("batch_norm", variant, "columns");
  return {.variant = "columns", .workspace_bytes = own_bytes(op, device)};
}

template <class Op>
Plan plan_asked(const Op& op, const Device& device) {
  if (is_over_ranks(op)) return plan_by_name(op, device, "columns");
  const char* asked = chosen_variant(op, own_rungs<Op>, vendor_rungs<Op>);
  return plan_by_name(op, device, asked != nullptr ? asked : "columns");
}

}  // namespace

std::vector<const char*> rungs(const BatchNormForward& op) {
  return with_vendor(op, own_rungs(op));
}
std::vector<const char*> rungs(const BatchNormBackward& op) {
  return with_vendor(op, own_rungs(op));
}
Plan plan_rung(const BatchNormForward& op, const Device& device, std::string_view variant) {
  return plan_by_name(op, device, variant);
}
Plan plan_rung(const BatchNormBackward& op, const Device& device, std::string_view variant) {
  return plan_by_name(op, device, variant);
}
Plan plan(const BatchNormForward& op, const Device& device) { return plan_asked(op, device); }
Plan plan(const BatchNormBackward& op, const Device& device) { return plan_asked(op, device); }

void run(const BatchNormForward& op, const Plan& plan, void* workspace, const Stream& stream) {
  require_statistics(op);
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  with_dtype("batch_norm", op.dtype, [&]<class T>(Type<T>) {
    if (op.rows > 0 || op.moments.each != nullptr) return run_typed<T>(op, workspace, stream);
    if (op.moments.own != nullptr) {
      const std::int64_t count = 1 + 2 * op.channels;
      return CONVOY_TARGET::run(Fill{count, op.moments.own, 0.0, DType::f64}, {}, nullptr, stream);
    }
    clear(op.mean, op.channels, stream);
    clear(op.rstd, op.channels, stream);
  });
}

void run(const BatchNormBackward& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  with_dtype("batch_norm", op.dtype,
             [&]<class T>(Type<T>) { run_typed<T>(op, workspace, stream); });
}

}  // namespace convoy::CONVOY_TARGET
