// SPDX-License-Identifier: MIT
// Two passes forward (moments, then apply) and two backward (sums, then apply), each with a kernel
// of a thread per channel between them, which leaves the channel's line of numbers for the second
// (norm_line.cuh).
#include "kernels/batch_norm.h"

#include "kernels/copy.h"
#include "kernels/gpu/batch_norm_backward.cuh"
#include "kernels/gpu/batch_norm_forward.cuh"
#include "kernels/gpu/ladder.h"
#include "kernels/gpu/vendor.h"
#include "kernels/norm_act.h"

namespace convoy {
CONVOY_LADDER(BatchNormForward)
CONVOY_LADDER(BatchNormBackward)
}  // namespace convoy

namespace convoy::CONVOY_TARGET {
namespace {

// In the workspace a line per channel, then the partial sums.
std::size_t line_bytes(std::int64_t channels) {
  return static_cast<std::size_t>(channels) * sizeof(NormLine);
}
double* partial_of(void* workspace, std::int64_t channels) {
  return reinterpret_cast<double*>(static_cast<char*>(workspace) + line_bytes(channels));
}

template <class T>
void sum_moments(const BatchNormForward& op, const BatchNormStatistics<T>& out, double* partial,
                 const Stream& stream) {
  const T* const x = static_cast<const T*>(op.x);
  const RowSplits splits = row_splits(op.rows, op.channels, stream.device);
  with_channel_packs<T>(
      op.channels,
      [&]<int N>(Width<N>) {
        launch_column_sums<N>(MomentTerms<T>{x}, op.rows, op.channels, splits, partial, stream);
      },
      op.x);
  const auto per_channel = [&](auto kernel, const auto& result) {
    launch_finish(op.channels, stream, kernel, op.rows, op.channels, x, partial, splits.count,
                  result);
  };
  if (op.moments.own != nullptr) return per_channel(put_own_moments<T>, op.moments.own);
  per_channel(finish_moments<T>, out);
}

template <class T>
void run_typed(const BatchNormForward& op, void* workspace, const Stream& stream) {
  const BatchNormStatistics<T> out{static_cast<const T*>(op.scale),
                                   static_cast<const T*>(op.bias),
                                   static_cast<float*>(op.mean),
                                   static_cast<float*>(op.rstd),
                                   static_cast<float*>(op.running_mean),
                                   static_cast<float*>(op.running_var),
                                   op.momentum,
                                   op.eps,
                                   static_cast<NormLine*>(workspace)};
  if (op.moments.each != nullptr) {
    launch_per_column(op.channels, stream, finish_moments_of_ranks<T>, op.channels, op.moments,
                      out);
  } else if (op.training) {
    sum_moments(op, out, partial_of(workspace, op.channels), stream);
    if (op.moments.own != nullptr) return;
  } else {
    launch_per_column(op.channels, stream, take_running<T>, op.channels, out);
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
  const MaskedGradient<T> in{static_cast<const T*>(op.x),        static_cast<const T*>(op.y),
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
  if (op.sums.each != nullptr) {
    launch_per_column(channels, stream, finish_sums_of_ranks<T>, channels, op.sums, op.moments, in,
                      lines);
  } else {
    with_channel_packs<T>(channels, sum, op.x, op.y, op.dy);
    launch_finish(channels, stream, finish_sums<T>, rows, channels, partial, splits.count,
                  op.training, Results<T>{op.d_scale, in_f32}, op.accumulate_scale,
                  Results<T>{op.d_bias, in_f32}, op.accumulate_bias, in, lines, op.sums.own);
  }
  if (op.dx == nullptr && op.d_residual == nullptr) return;
  const BatchNormGradients<T> out{static_cast<T*>(op.dx), static_cast<T*>(op.d_residual),
                                  op.accumulate, op.accumulate_residual};
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
