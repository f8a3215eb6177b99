// SPDX-License-Identifier: MIT
#include "kernels/conv2d.h"

#include <algorithm>
#include <string_view>

#include "kernels/cpu/carver.h"
#include "kernels/cpu/conv2d_depthwise.h"
#include "kernels/cpu/conv2d_onednn.h"
#include "kernels/cpu/conv2d_plain.h"
#include "kernels/cpu/conv2d_taps.h"
#include "kernels/cpu/conv2d_winograd.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// Multiply-adds below which plain loops beat the fixed cost of a library call.
constexpr std::int64_t kPlainWork = 16384;

std::int64_t work(const Conv2dGeometry& g) {
  return g.output_shape().count() * g.R * g.S * (g.C / g.groups);
}

// The variant, by shape and number of threads alone; nothing is timed.
//
// clang-format off
//   winograd   3 x 3 of stride 1 with whole lines of channels: two thirds of the direct method's
//              time and less, in all passes.
//   taps       deep strided layers: oneDNN is as quick, but copying the filters to its layout is
//              not.
//   depthwise  filters' gradients of large depthwise kernels, for which oneDNN has no quick kernel.
//   onednn     everything else of some size: it is at the processor's peak on NHWC.
//   plain      f64, small work, and what oneDNN has reference loops for only.
// clang-format on
template <class Op>
Plan choose(const Op& op, Conv2dPass pass, bool bias, bool accumulate) {
  require(op.dtype == DType::f32 || op.dtype == DType::f64,
          "conv2d: dtype expects f32 or f64 on cpu, found {}", op.dtype);
  if (op.dtype == DType::f32 && work(op.g) > kPlainWork) {
    if (conv2d_winograd_fits(op.g)) return {"winograd", conv2d_winograd_workspace(op)};
    if (conv2d_taps_fits(op)) return {"taps", conv2d_taps_workspace(op)};
    if (const auto bytes = conv2d_onednn_workspace(op.g, pass, bias, accumulate)) {
      return {"onednn", *bytes};
    }
  }
  return {"plain"};
}

Plan choose_for_weight(const Conv2dBackwardWeight& op) {
  if (!op.dweight) return {"plain"};
  if (op.dtype == DType::f32 && work(op.g) > kPlainWork && conv2d_depthwise_fits(op)) {
    return {"depthwise", conv2d_depthwise_workspace(op)};
  }
  return choose(op, Conv2dPass::backward_weight, false, op.accumulate);
}

bool is(const Plan& plan, std::string_view variant) { return plan.variant == variant; }

void require_plain(bool plain) {
  require(
      plain,
      "conv2d: on cpu expects no prologue, statistics or gradient epilogue, found one: compose the "
      "plain ops");
}

}  // namespace

Plan plan(const Conv2dForward& op, const Device&) {
  require_plain(op.prologue.lines == nullptr && op.statistics.mean == nullptr);
  return choose(op, Conv2dPass::forward, op.bias != nullptr, false);
}

void run(const Conv2dForward& op, const Plan& plan, void* workspace, const Stream&) {
  if (op.g.N == 0) return;
  if (is(plan, "winograd")) return conv2d_winograd(op, workspace);
  if (is(plan, "taps")) return conv2d_taps(op, workspace);
  if (is(plan, "onednn")) return conv2d_onednn(op, workspace);
  with_float(op.dtype, [&]<class T>(Type<T>) { conv2d_forward_plain<T>(op); });
}

Plan plan(const Conv2dBackwardInput& op, const Device&) {
  require_plain(op.prologue.lines == nullptr && op.epilogue.addend == nullptr &&
                op.epilogue.raw == nullptr);
  return choose(op, Conv2dPass::backward_input, false, op.accumulate);
}

void run(const Conv2dBackwardInput& op, const Plan& plan, void* workspace, const Stream&) {
  if (op.g.N == 0) return;
  if (is(plan, "winograd")) return conv2d_winograd(op, workspace);
  if (is(plan, "taps")) return conv2d_taps(op, workspace);
  if (is(plan, "onednn")) return conv2d_onednn(op, workspace);
  with_float(op.dtype, [&]<class T>(Type<T>) { conv2d_backward_input_plain<T>(op); });
}

// The bias gradient and the filters' run one after the other in the same workspace.
Plan plan(const Conv2dBackwardWeight& op, const Device&) {
  require_plain(op.prologue.lines == nullptr && op.gradient_prologue.lines == nullptr);
  Plan p = choose_for_weight(op);
  result_dtype("conv2d", "grad_dtype", op.dtype, op.grad_dtype);
  if (op.dbias) {
    const auto bytes = static_cast<std::size_t>(conv2d_bias_partials(op.g)) * size_of(op.dtype);
    p.workspace_bytes = std::max(p.workspace_bytes, bytes);
  }
  return p;
}

void run(const Conv2dBackwardWeight& op, const Plan& plan, void* workspace, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    if (op.dbias) conv2d_backward_bias<T>(op, static_cast<T*>(workspace));
    if (!op.dweight) return;
    if (is(plan, "winograd")) return conv2d_winograd(op, workspace);
    if (is(plan, "taps")) return conv2d_taps(op, workspace);
    if (is(plan, "depthwise")) return conv2d_depthwise(op, workspace);
    if (is(plan, "onednn")) return conv2d_onednn(op, workspace);
    conv2d_backward_weight_plain<T>(op);
  });
}

Plan plan(const Conv2dBackward& op, const Device& device) {
  return {"apart", std::max(on_cpu::plan(op.input, device).workspace_bytes,
                            on_cpu::plan(op.weight, device).workspace_bytes)};
}

void run(const Conv2dBackward& op, const Plan&, void* workspace, const Stream& stream) {
  on_cpu::run(op.weight, on_cpu::plan(op.weight, stream.device), workspace, stream);
  on_cpu::run(op.input, on_cpu::plan(op.input, stream.device), workspace, stream);
}

}  // namespace convoy::on_cpu
