// SPDX-License-Identifier: MIT
// Passes over [rows, channels] whose threads keep the lines of a pack of channels in registers, and
// kernels of a thread per channel that make those lines.
#include "kernels/norm_act.h"

#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// ---- lines: a thread per channel ----

template <class T>
__global__ void __launch_bounds__(kColumnThreads) make_lines(NormLinesFromBatch op) {
  begin_kernel();
  const std::int64_t c = my_column();
  if (!inside(c, op.channels)) return;
  const double n = static_cast<double>(op.rows), var = op.var[c];
  const float rstd = static_cast<float>(1 / sqrt(var + op.eps));
  op.lines[c] = {op.mean[c], value_or(static_cast<const T*>(op.scale), c, 1) * rstd,
                 value_or(static_cast<const T*>(op.bias), c, 0), rstd};
  move_running(op.running_mean, c, op.momentum, op.mean[c]);
  move_running(op.running_var, c, op.momentum, var * (n / (n - 1)));
}

template <class T>
__device__ __forceinline__ void put(T* out, std::int64_t c, float value, bool accumulate) {
  if (out != nullptr) out[c] = narrow<T>(accumulate ? widen(out[c]) + value : value);
}

template <class T>
__global__ void __launch_bounds__(kColumnThreads) make_gradient_lines(NormGradientLines op) {
  begin_kernel();
  const std::int64_t c = my_column();
  if (!inside(c, op.channels)) return;
  const NormLine line = op.lines[c];
  const float sum = op.sum[c], dot = op.dot[c], rows = static_cast<float>(op.rows);
  put(static_cast<T*>(op.d_scale), c, dot * line.rstd, op.accumulate_scale);
  put(static_cast<T*>(op.d_bias), c, sum, op.accumulate_bias);
  op.out[c] = {line.mean, line.gain, sum / rows, dot * line.rstd * line.rstd / rows};
}

// ---- passes ----

template <int N, class Line>
__device__ __forceinline__ void load_lines(const Line* from, std::int64_t c, Line (&lines)[N]) {
  for (int j = 0; j < N; ++j) lines[j] = load_vector<Line>(from + c + j);
}

template <class T, int N>
struct Pair {
  Fetched<T, N> a, b;
};

template <class T, int N>
__global__ void __launch_bounds__(kPassThreads) norm_act_rows(Passage p, NormAct op) {
  begin_kernel();
  NormLine lines[N], of_residual[N] = {};
  const bool relu = op.relu, normed_residual = op.residual_lines != nullptr;
  for_my_rows<N, 4>(
      p,
      [&](std::int64_t c) {
        load_lines(op.lines, c, lines);
        if (normed_residual) load_lines(op.residual_lines, c, of_residual);
      },
      [&](std::int64_t i) {
        Pair<T, N> fetched = {fetch<N>(static_cast<const T*>(op.x) + i), {}};
        if (op.residual != nullptr) fetched.b = fetch<N>(static_cast<const T*>(op.residual) + i);
        return fetched;
      },
      [&](const Pair<T, N>& fetched, std::int64_t i) {
        float v[N], r[N];
        take_floats(fetched.a, v);
        take_floats(fetched.b, r);
        for (int j = 0; j < N; ++j) {
          if (normed_residual) r[j] = normed_as_stored<T>(of_residual[j], r[j], false);
          v[j] = rectified(normed(lines[j], v[j]) + r[j], relu);
        }
        store_floats(static_cast<T*>(op.y) + i, v);
      });
}

// ---- sums: kernels/gpu/column_sums.cuh ----

// Masks dy, hands it on, and sums.
template <class T>
struct MaskedSums {
  NormActBackward op;

  template <int N>
  struct Pack {
    const NormActBackward& op;
    NormLine lines[N];
    __device__ Pack(const MaskedSums& all, std::int64_t c) : op(all.op) {
      load_lines(op.lines, c, lines);
    }
    static constexpr int kAtOnce = 2;
    struct Fetched {
      CONVOY_TARGET::Fetched<T, N> x, dy, y;
    };
    __device__ Fetched ask(std::int64_t, std::int64_t i) const {
      Fetched fetched = {fetch<N>(static_cast<const T*>(op.x) + i),
                         fetch<N>(static_cast<const T*>(op.dy) + i),
                         {}};
      if (op.relu && op.y != nullptr) fetched.y = fetch<N>(static_cast<const T*>(op.y) + i);
      return fetched;
    }
    __device__ void take(const Fetched& fetched, std::int64_t i, LongSum (&sum)[N],
                         LongSum (&dot)[N]) const {
      float x[N], g[N];
      take_floats(fetched.x, x);
      take_floats(fetched.dy, g);
      if (op.relu) mask(op.y != nullptr, fetched.y, lines, x, g);
      if (op.g != nullptr) store_floats(static_cast<T*>(op.g) + i, g);
      for (int j = 0; j < N; ++j) {
        sum[j].add(g[j]);
        dot[j].add_product(g[j], x[j] - lines[j].mean);
      }
    }
  };
};

__global__ void __launch_bounds__(kFinishThreads)
    finish_sums(std::int64_t channels, const double* partial, unsigned splits, float* sums) {
  begin_kernel();
  const ColumnSums of_column = column_sums(partial, splits, channels);
  if (!has_column(channels)) return;
  const std::int64_t c = channel_to_join();
  sums[c] = static_cast<float>(of_column.first);
  sums[channels + c] = static_cast<float>(of_column.second);
}

}  // namespace

Plan plan(const NormLinesFromBatch&, const Device&) { return {.variant = "channel_per_thread"}; }
Plan plan(const NormGradientLines&, const Device&) { return {.variant = "channel_per_thread"}; }
Plan plan(const NormAct&, const Device&) { return {.variant = "pack_per_thread"}; }
Plan plan(const NormActBackward& op, const Device& device) {
  return {.variant = "columns",
          .workspace_bytes = row_splits(op.rows, op.channels, device).bytes(op.channels)};
}

void run(const NormLinesFromBatch& op, const Plan&, void*, const Stream& stream) {
  with_dtype("norm_act", op.dtype,
             [&]<class T>(Type<T>) { launch_per_column(op.channels, stream, make_lines<T>, op); });
}

void run(const NormGradientLines& op, const Plan&, void*, const Stream& stream) {
  with_dtype("norm_act", op.grad_dtype, [&]<class T>(Type<T>) {
    launch_per_column(op.channels, stream, make_gradient_lines<T>, op);
  });
}

void run(const NormAct& op, const Plan&, void*, const Stream& stream) {
  with_dtype("norm_act", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<int N>(Width<N>) {
      const Passage p = passage(op.rows, op.channels, N);
      launch({.grid = p.grid(N), .block = kPassThreads, .stream = stream}, norm_act_rows<T, N>, p,
             op);
    };
    with_channel_packs<T>(op.channels, go, op.x, op.residual, op.y);
  });
}

void run(const NormActBackward& op, const Plan&, void* workspace, const Stream& stream) {
  auto* const partial = static_cast<double*>(workspace);
  const RowSplits splits = row_splits(op.rows, op.channels, stream.device);
  with_dtype("norm_act", op.dtype, [&]<class T>(Type<T>) {
    const auto sum = [&]<int N>(Width<N>) {
      launch_column_sums<N>(MaskedSums<T>{op}, op.rows, op.channels, splits, partial, stream);
    };
    with_channel_packs<T>(op.channels, sum, op.x, op.y, op.dy, op.g);
  });
  launch_finish(op.channels, stream, finish_sums, op.channels, partial, splits.count, op.sums);
}

}  // namespace convoy::CONVOY_TARGET
