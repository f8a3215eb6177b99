// SPDX-License-Identifier: MIT
// The ladder of conv2d: which rung runs, and its launch. The kernels stand in kernels/gpu/conv2d/.
#include "kernels/conv2d.h"

#include "kernels/gpu/conv2d/1_direct.cuh"
#include "kernels/gpu/conv2d/2_implicit_gemm.cuh"
#include "kernels/gpu/conv2d/3_register_tile.cuh"
#include "kernels/gpu/conv2d/4_tensor_core.cuh"
#include "kernels/gpu/conv2d/as_gemm.h"
#include "kernels/gpu/conv2d/depthwise.h"
#include "kernels/gpu/conv2d/fused.h"
#include "kernels/gpu/conv2d/halo_weight.cuh"
#include "kernels/gpu/conv2d/padded.cuh"
#include "kernels/gpu/hopper/conv2d_wgmma.h"
#include "kernels/gpu/hopper/gemm_wgmma.h"
#include "kernels/gpu/hopper/hopper.h"
#include "kernels/gpu/ladder.h"
#include "kernels/gpu/vendor.h"

namespace convoy {
CONVOY_LADDER(Conv2dForward)
CONVOY_LADDER(Conv2dBackwardInput)
CONVOY_LADDER(Conv2dBackwardWeight)
}  // namespace convoy

namespace convoy::CONVOY_TARGET {
namespace {

// Groups of fewer channels fill too little of a tile.
constexpr std::int64_t kNarrowGroup = 8;

bool is_direct(std::string_view variant) { return variant == "direct"; }
bool is_depthwise(std::string_view variant) { return variant == "depthwise"; }
bool is_gemm(std::string_view variant) { return variant == "gemm"; }
bool is_register_tile(std::string_view variant) { return variant == "register_tile"; }
bool is_tensor_core(std::string_view variant) { return variant == "tensor_core"; }
bool is_padded(std::string_view variant) { return variant == "padded"; }
bool is_halo(std::string_view variant) { return variant == "halo"; }
bool is_wgmma(std::string_view variant) { return variant == "wgmma"; }

// gemm has statistics, and nothing on load.
bool fused_is_gemm(const Conv2dForward& op) {
  return op.prologue.lines == nullptr && conv2d_is_gemm(op.g);
}
template <class Op>
bool fused_is_gemm(const Op&) {
  return false;
}

// wgmma, too, of a forward pass.
bool takes_fused_wgmma(const Conv2dForward& op) { return has_hopper() && conv2d_fits_wgmma(op); }
template <class Op>
bool takes_fused_wgmma(const Op&) {
  return false;
}

template <class Op>
std::vector<const char*> rungs_for(const Op& op) {
  if (is_fused(op)) {
    if (!conv2d_fits_implicit_gemm(op.g)) too_large_to_fuse("conv2d");
    const bool f32 = op.dtype == DType::f32;
    if (!f32 && !conv2d_fits_tensor_core(op.g, op.dtype)) return {"implicit_gemm"};
    std::vector<const char*> names = {"implicit_gemm", f32 ? "register_tile" : "tensor_core"};
    if (conv2d_fits_padded(op)) names.push_back("padded");
    if (conv2d_fits_halo(op)) names.push_back("halo");
    if (f32) return names;
    if (takes_fused_wgmma(op)) names.push_back("wgmma");
    if (fused_is_gemm(op)) names.push_back("gemm");
    return names;
  }
  if (!conv2d_fits_implicit_gemm(op.g)) return {"direct"};
  std::vector<const char*> names = {"direct"};
  if (conv2d_fits_depthwise(op.g)) names.push_back("depthwise");
  names.push_back("implicit_gemm");
  const bool halves = conv2d_fits_tensor_core(op.g, op.dtype);
  if (op.dtype == DType::f32) names.push_back("register_tile");
  if (halves) names.push_back("tensor_core");
  if (halves && conv2d_fits_padded(op)) names.push_back("padded");
  if (conv2d_fits_halo(op)) names.push_back("halo");
  if (halves && has_hopper() && conv2d_fits_wgmma(op)) names.push_back("wgmma");
  if (!std::is_same_v<Op, Conv2dBackwardWeight> && conv2d_is_gemm(op.g)) names.push_back("gemm");
  return names;
}

template <class Op>
Plan plan_by_name(const Op& op, std::string_view variant) {
  with_dtype("conv2d", op.dtype, [](auto) {});
  for (const char* rung : rungs_for(op)) {
    if (variant == rung) return {.variant = rung};
  }
  unknown_rung(
      "conv2d", variant,
      "direct, depthwise, implicit_gemm, register_tile, tensor_core, padded, halo, wgmma or gemm");
}

// Three channels become eight. One would become eight times the products, and of a small
// convolution two launches more cost more than its copies.
bool is_worth_padding(const Conv2dGeometry& g, const Device& device) {
  return 3 * g.C >= with_padded_channels(g).C &&
         g.N * g.P * g.Q >= std::int64_t{LargeTensorTile::kM} * multiprocessor_count(device);
}

// Its warps multiply less per byte of shared memory than rung 4's: of many channels that costs more
// than bringing each pixel nine times, unless it would be normed as often.
template <class Op>
bool is_worth_halo(const Op& op) {
  constexpr std::int64_t kFewChannels = 64;
  return conv2d_fits_halo(op) &&
         (norms_on_load(op) || max(op.g.C, op.g.K) / op.g.groups <= kFewChannels);
}

// By shape alone. A tile belongs to one group, and of a narrow one most of it would be padding: so
// depthwise convolutions have kernels of their own, and groups almost like them take the direct
// rung. Otherwise the highest rung that takes the shape; but wgmma's tiles are large: with fewer of
// them than multiprocessors, rung 4 has smaller ones, and splits.
template <class Op>
const char* choose(const Op& op, const Device& device) {
  const Conv2dGeometry& g = op.g;
  if (!is_fused(op) && g.groups > 1 && conv2d_fits_depthwise(g)) return "depthwise";
  if (!is_fused(op) && g.groups > 1 && min(g.C, g.K) / g.groups < kNarrowGroup) return "direct";
  const char* highest = rungs_for(op).back();
  if (is_wgmma(highest) && conv2d_fills_wgmma(op, device)) return highest;
  if (is_wgmma(highest) || is_halo(highest)) {
    return is_worth_halo(op) ? "halo" : op.dtype == DType::f32 ? "register_tile" : "tensor_core";
  }
  if (is_padded(highest) && !is_worth_padding(g, device)) return "tensor_core";
  return highest;
}

template <class Op>
const char* asked_or_chosen(const Op& op, const Device& device) {
  const char* asked = chosen_variant(op, rungs_for<Op>, vendor_rungs<Op>);
  return asked != nullptr ? asked : choose(op, device);
}

template <class T, class Op>
void run_depthwise(const Op& op, void* workspace, const Stream& stream) {
  conv2d_depthwise(op, workspace, stream);
  if constexpr (std::is_same_v<Op, Conv2dBackwardWeight>) {
    add_parts<T>(op, static_cast<float*>(workspace), conv2d_depthwise_parts(op.g).count, stream);
  }
}

template <class T>
void run_wgmma(const Conv2dForward& op, void* workspace, const Stream& stream) {
  const Conv2dGeometry& g = op.g;
  const auto totals = static_cast<float*>(workspace);
  conv2d_wgmma(op, totals, stream);
  if (!wants_totals(op)) return;
  finish_statistics(op.epilogue.statistics, g.K, g.N * g.P * g.Q, kStatisticsRows, totals, stream);
}
template <class T>
void run_wgmma(const Conv2dBackwardInput& op, void*, const Stream& stream) {
  conv2d_wgmma(op, stream);
}
// The two gradients are computed one after the other, in the same workspace.
template <class T>
void run_wgmma(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  if (op.dbias != nullptr) conv2d_bias_gradient<T>(op, workspace, stream);
  if (op.dweight == nullptr) return;
  conv2d_wgmma(op, static_cast<float*>(workspace), stream);
  add_splits_to<T>(conv2d_output(op), workspace, conv2d_wgmma_parts(op.g, stream.device), stream);
}
std::size_t wgmma_workspace(const Conv2dBackwardWeight& op, const Device& device) {
  const int parts = conv2d_wgmma_parts(op.g, device);
  return either_gradient_bytes(op, splits_bytes(conv2d_output(op), parts), device);
}

template <class T, class Op>
void run_padded(const Op& op, void* workspace, const Stream& stream) {
  if constexpr (!std::is_same_v<Op, Conv2dBackwardInput>) {
    conv2d_padded<T>(op, workspace, stream);
  }
}

template <class Op>
void run_rung(const Op& op, const Plan& plan, void* workspace, const Stream& stream) {
  with_dtype("conv2d", op.dtype, [&]<class T>(Type<T>) {
    if (is_direct(plan.variant)) return conv2d_direct<T>(op, workspace, stream);
    if (is_depthwise(plan.variant)) return run_depthwise<T>(op, workspace, stream);
    if (is_halo(plan.variant)) return conv2d_halo<T>(op, workspace, stream);
    if constexpr (std::is_same_v<T, float>) {
      if (is_register_tile(plan.variant)) return conv2d_register_tile<T>(op, workspace, stream);
    } else {
      if (is_wgmma(plan.variant)) return run_wgmma<T>(op, workspace, stream);
      if (is_tensor_core(plan.variant)) return conv2d_tensor_core<T>(op, workspace, stream);
      if (is_padded(plan.variant)) return run_padded<T>(op, workspace, stream);
    }
    conv2d_implicit_gemm<T>(op, workspace, stream);
  });
}

}  // namespace

std::vector<const char*> rungs(const Conv2dForward& op) { return with_vendor(op, rungs_for(op)); }
std::vector<const char*> rungs(const Conv2dBackwardInput& op) {
  return with_vendor(op, rungs_for(op));
}
std::vector<const char*> rungs(const Conv2dBackwardWeight& op) {
  return with_vendor(op, rungs_for(op));
}

Plan plan_rung(const Conv2dForward& op, const Device& device, std::string_view variant) {
  if (is_vendor_rung(op, variant)) return vendor_plan(op, device, variant);
  Plan plan = plan_by_name(op, variant);
  if (is_gemm(variant)) return gemm_plan(op, device);
  if (is_wgmma(variant)) return {plan.variant, conv2d_wgmma_workspace(op)};
  if (is_padded(variant)) return {plan.variant, conv2d_padded_workspace(op, device)};
  if (is_halo(variant)) return {plan.variant, conv2d_halo_workspace(op)};
  plan.workspace_bytes = is_tensor_core(variant) ? conv2d_tensor_core_workspace(op, device)
                                                 : spread_bytes(op, WideTile::kM);
  return plan;
}
Plan plan_rung(const Conv2dBackwardInput& op, const Device& device, std::string_view variant) {
  if (is_vendor_rung(op, variant)) return vendor_plan(op, device, variant);
  Plan plan = plan_by_name(op, variant);
  if (is_gemm(variant)) return gemm_plan(op, device);
  if (is_wgmma(variant)) return plan;
  if (is_halo(variant)) return {plan.variant, conv2d_halo_workspace(op)};
  plan.workspace_bytes = is_tensor_core(variant)     ? conv2d_tensor_core_workspace(op, device)
                         : is_register_tile(variant) ? conv2d_register_tile_workspace(op)
                                                     : conv2d_implicit_gemm_workspace(op);
  return plan;
}
Plan plan_rung(const Conv2dBackwardWeight& op, const Device& device, std::string_view variant) {
  if (is_vendor_rung(op, variant)) return vendor_plan(op, device, variant);
  Plan plan = plan_by_name(op, variant);
  result_dtype("conv2d", "grad_dtype", op.dtype, op.grad_dtype);
  if (is_padded(variant)) return {plan.variant, conv2d_padded_workspace(op, device)};
  if (is_halo(variant)) return {plan.variant, conv2d_halo_workspace(op, device)};
  if (is_wgmma(variant) || is_tensor_core(variant)) {
    plan.workspace_bytes =
        is_wgmma(variant) ? wgmma_workspace(op, device) : conv2d_tensor_core_workspace(op, device);
    return plan;
  }
  const Parts parts = is_direct(variant)          ? conv2d_direct_parts(op.g)
                      : is_depthwise(variant)     ? conv2d_depthwise_parts(op.g)
                      : is_register_tile(variant) ? conv2d_register_tile_parts(op)
                                                  : conv2d_implicit_gemm_parts(op.g);
  plan.workspace_bytes =
      static_cast<std::size_t>(parts.count * sums_per_part(op.g)) * sizeof(float);
  return plan;
}

Plan plan(const Conv2dForward& op, const Device& device) {
  return plan_rung(op, device, asked_or_chosen(op, device));
}
Plan plan(const Conv2dBackwardInput& op, const Device& device) {
  return plan_rung(op, device, asked_or_chosen(op, device));
}
Plan plan(const Conv2dBackwardWeight& op, const Device& device) {
  return plan_rung(op, device, asked_or_chosen(op, device));
}
void run(const Conv2dForward& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  if (is_gemm(plan.variant)) return run_as_gemm(op, workspace, stream);
  run_rung(op, plan, workspace, stream);
}
void run(const Conv2dBackwardInput& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  if (is_gemm(plan.variant)) return run_as_gemm(op, workspace, stream);
  run_rung(op, plan, workspace, stream);
}
void run(const Conv2dBackwardWeight& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  run_rung(op, plan, workspace, stream);
}

}  // namespace convoy::CONVOY_TARGET
