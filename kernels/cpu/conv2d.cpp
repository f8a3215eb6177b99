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
#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/parallel.h"
#include "kernels/gpu/ladder.h"
#include "kernels/tuning.h"

namespace convoy {
CONVOY_LADDER(Conv2dForward)
CONVOY_LADDER(Conv2dBackwardInput)
CONVOY_LADDER(Conv2dBackwardWeight)
}  // namespace convoy

namespace convoy::on_cpu {
namespace {

// Multiply-adds below which plain loops beat the fixed cost of a library call.
constexpr std::int64_t kPlainWork = 16384;

std::int64_t work(const Conv2dGeometry& g) {
  return g.output_shape().count() * g.R * g.S * (g.C / g.groups);
}

bool depthwise_fits(const Conv2dBackwardWeight& op) { return conv2d_depthwise_fits(op); }
template <class Op>
bool depthwise_fits(const Op&) {
  return false;
}

std::optional<std::size_t> onednn_workspace(const Conv2dForward& op) {
  return conv2d_onednn_workspace(op.g, Conv2dPass::forward, op.epilogue.bias != nullptr, false);
}
std::optional<std::size_t> onednn_workspace(const Conv2dBackwardInput& op) {
  return conv2d_onednn_workspace(op.g, Conv2dPass::backward_input, false, op.accumulate);
}
std::optional<std::size_t> onednn_workspace(const Conv2dBackwardWeight& op) {
  return conv2d_onednn_workspace(op.g, Conv2dPass::backward_weight, false, op.accumulate);
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
const char* choose(const Op& op) {
  if (op.dtype != DType::f32 || work(op.g) <= kPlainWork) return "plain";
  if (depthwise_fits(op)) return "depthwise";
  if (conv2d_winograd_fits(op.g)) return "winograd";
  if (conv2d_taps_fits(op)) return "taps";
  return onednn_workspace(op) ? "onednn" : "plain";
}
const char* choose_or_plain(const Conv2dBackwardWeight& op) {
  return op.dweight == nullptr ? "plain" : choose(op);
}

template <class Op>
std::vector<const char*> rungs_for(const Op& op) {
  std::vector<const char*> names = {"plain"};
  if (op.dtype != DType::f32 || op.g.N == 0) return names;
  if (onednn_workspace(op)) names.push_back("onednn");
  if (depthwise_fits(op)) names.push_back("depthwise");
  if (conv2d_taps_fits(op)) names.push_back("taps");
  if (conv2d_winograd_fits(op.g)) names.push_back("winograd");
  return names;
}

template <class Op>
std::size_t workspace_of(const Op& op, std::string_view variant) {
  if (variant == "onednn") return *onednn_workspace(op);
  if (variant == "taps") return conv2d_taps_workspace(op);
  if (variant == "winograd") return conv2d_winograd_workspace(op);
  if constexpr (std::is_same_v<Op, Conv2dBackwardWeight>) {
    if (variant == "depthwise") return conv2d_depthwise_workspace(op);
  }
  return 0;
}

void require_dtype(DType dtype) {
  require(dtype == DType::f32 || dtype == DType::f64,
          "conv2d: dtype expects f32 or f64 on cpu, found {}", dtype);
}

template <class Op>
const char* named(const Op& op, std::string_view variant) {
  for (const char* rung : rungs(op)) {
    if (variant == rung) return rung;
  }
  unknown_rung("conv2d", variant, "plain, onednn, depthwise, taps or winograd");
}

// What was asked for (kernels/tuning.h), or the rule's choice.
template <class Op>
const char* asked_or(const char* chosen, const Op& op) {
  const auto own = [](const Op& o) { return rungs(o); };
  const char* asked = chosen_variant(op, own, no_vendor<Op>);
  return asked != nullptr ? asked : chosen;
}

bool is(const Plan& plan, std::string_view variant) { return plan.variant == variant; }

void require_plain(bool plain) {
  require(
      plain,
      "conv2d: on cpu expects no prologue, statistics or gradient epilogue, found one: compose the "
      "plain ops");
}

Plan plan_of(const Conv2dForward& op, const char* variant) {
  require_plain(op.prologue.lines == nullptr && op.epilogue.statistics.mean == nullptr);
  return {variant, workspace_of(op, variant)};
}

Plan plan_of(const Conv2dBackwardInput& op, const char* variant) {
  require_plain(op.prologue.lines == nullptr && op.epilogue.addend == nullptr &&
                op.epilogue.raw == nullptr);
  return {variant, workspace_of(op, variant)};
}

// The bias gradient and the filters' run one after the other in the same workspace.
Plan plan_of(const Conv2dBackwardWeight& op, const char* variant) {
  require_plain(op.prologue.lines == nullptr && op.gradient_prologue.lines == nullptr);
  result_dtype("conv2d", "grad_dtype", op.dtype, op.grad_dtype);
  Plan p{variant, workspace_of(op, variant)};
  if (op.dbias) {
    const auto bytes = static_cast<std::size_t>(conv2d_bias_partials(op.g)) * size_of(op.dtype);
    p.workspace_bytes = std::max(p.workspace_bytes, bytes);
  }
  return p;
}

void convolve(const Conv2dForward& op, const Plan& plan, void* workspace) {
  if (is(plan, "winograd")) return conv2d_winograd(op, workspace);
  if (is(plan, "taps")) return conv2d_taps(op, workspace);
  if (is(plan, "onednn")) return conv2d_onednn(op, workspace);
  with_float(op.dtype, [&]<class T>(Type<T>) { conv2d_forward_plain<T>(op); });
}

}  // namespace

std::vector<const char*> rungs(const Conv2dForward& op) { return rungs_for(op); }
std::vector<const char*> rungs(const Conv2dBackwardInput& op) { return rungs_for(op); }
std::vector<const char*> rungs(const Conv2dBackwardWeight& op) {
  return op.dweight == nullptr ? std::vector<const char*>{"plain"} : rungs_for(op);
}

Plan plan_rung(const Conv2dForward& op, const Device&, std::string_view variant) {
  require_dtype(op.dtype);
  return plan_of(op, named(op, variant));
}
Plan plan_rung(const Conv2dBackwardInput& op, const Device&, std::string_view variant) {
  require_dtype(op.dtype);
  return plan_of(op, named(op, variant));
}
Plan plan_rung(const Conv2dBackwardWeight& op, const Device&, std::string_view variant) {
  require_dtype(op.dtype);
  return plan_of(op, named(op, variant));
}

Plan plan(const Conv2dForward& op, const Device&) {
  require_dtype(op.dtype);
  return plan_of(op, asked_or(choose(op), op));
}
Plan plan(const Conv2dBackwardInput& op, const Device&) {
  require_dtype(op.dtype);
  return plan_of(op, asked_or(choose(op), op));
}
Plan plan(const Conv2dBackwardWeight& op, const Device&) {
  require_dtype(op.dtype);
  return plan_of(op, asked_or(choose_or_plain(op), op));
}

void run(const Conv2dForward& op, const Plan& plan, void* workspace, const Stream&) {
  if (op.g.N == 0) return;
  convolve(op, plan, workspace);
  finish_rows(op.epilogue, op.y, op.dtype, op.g.N * op.g.P * op.g.Q, op.g.K,
              [&](std::int64_t pixel) { return pixel * op.g.K; });
}

void run(const Conv2dBackwardInput& op, const Plan& plan, void* workspace, const Stream&) {
  if (op.g.N == 0) return;
  if (is(plan, "winograd")) return conv2d_winograd(op, workspace);
  if (is(plan, "taps")) return conv2d_taps(op, workspace);
  if (is(plan, "onednn")) return conv2d_onednn(op, workspace);
  with_float(op.dtype, [&]<class T>(Type<T>) { conv2d_backward_input_plain<T>(op); });
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
