// SPDX-License-Identifier: MIT
// The ladder of gemm: which rung runs, and its launch. The kernels stand in kernels/gpu/gemm/.
#include "kernels/gemm.h"

#include "kernels/gpu/gemm/1_naive.cuh"
#include "kernels/gpu/gemm/2_shared_tile.cuh"
#include "kernels/gpu/gemm/3_register_tile.cuh"
#include "kernels/gpu/gemm/4_warp_tile.cuh"
#include "kernels/gpu/gemm/5_tensor_core.cuh"
#include "kernels/gpu/hopper/gemm_wgmma.h"
#include "kernels/gpu/hopper/hopper.h"
#include "kernels/gpu/ladder.h"
#include "kernels/gpu/vendor.h"

namespace convoy {
CONVOY_LADDER(Gemm)
}

namespace convoy::CONVOY_TARGET {
namespace {

std::vector<const char*> own_rungs(const Gemm& op) {
  if (wants_totals(op)) {
    if (op.batch != 1 || !gemm_fits_tensor_core(op)) no_statistics("gemm");
    if (has_hopper() && gemm_fits_wgmma(op)) return {"tensor_core", "wgmma"};
    return {"tensor_core"};
  }
  if (!gemm_fits_shared_tile(op)) return {"naive"};
  std::vector<const char*> names = {"naive", "shared_tile", "register_tile", "warp_tile"};
  if (gemm_fits_tensor_core(op)) names.push_back("tensor_core");
  if (has_hopper() && gemm_fits_wgmma(op)) names.push_back("wgmma");
  return names;
}

void run_wgmma(const Gemm& op, float* totals, const Stream& stream) {
  gemm_wgmma(op, totals, stream);
  if (!wants_totals(op)) return;
  finish_statistics(op.epilogue.statistics, op.N, op.M, kStatisticsRows, totals, stream);
}

}  // namespace

std::vector<const char*> rungs(const Gemm& op) { return with_vendor(op, own_rungs(op)); }

Plan plan_rung(const Gemm& op, const Device& device, std::string_view variant) {
  with_dtype("gemm", op.dtype, [](auto) {});
  result_dtype("gemm", "out_dtype", op.dtype, op.out_dtype);
  if (is_vendor_rung(op, variant)) return vendor_plan(op, device, variant);
  for (const char* rung : own_rungs(op)) {
    if (variant != rung) continue;
    return {.variant = rung,
            .workspace_bytes = variant == "tensor_core" ? gemm_tensor_core_workspace(op, device)
                               : variant == "wgmma"     ? gemm_wgmma_workspace(op)
                                                        : 0};
  }
  unknown_rung("gemm", variant,
               "naive, shared_tile, register_tile, warp_tile, tensor_core or wgmma");
}

// What was asked for (kernels/tuning.h), else by shape alone: the highest rung that takes it. But
// without tensor cores, a product of few columns or rows would fill little of the higher rungs'
// tiles, of which a side is 64 at least; rung 2 has a narrow one. (Of f32 no rung so far splits K
// over blocks, which a large K with a small c would gain from.) Nor does wgmma, whose tiles are
// large: with fewer of them than multiprocessors, rung 5 has smaller ones, and splits.
Plan plan(const Gemm& op, const Device& device) {
  const char* asked = chosen_variant(op, own_rungs, vendor_rungs<Gemm>);
  if (asked != nullptr) return plan_rung(op, device, asked);
  std::string_view rung = own_rungs(op).back();
  if (rung == "wgmma" && !gemm_fills_wgmma(op, device)) rung = "tensor_core";
  if (rung == "warp_tile" && min(op.M, op.N) <= kNarrowColumns) rung = "shared_tile";
  return plan_rung(op, device, rung);
}

void run(const Gemm& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (op.batch * op.M * op.N == 0 && !wants_totals(op)) return;
  if (is_vendor_rung(op, plan.variant)) return vendor_run(op, plan, workspace, stream);
  with_dtype("gemm", op.dtype, [&]<class T>(Type<T>) {
    const std::string_view variant = plan.variant;
    if (variant == "naive") return gemm_naive<T>(op, stream);
    if (variant == "shared_tile") return gemm_shared_tile<T>(op, stream);
    if (variant == "register_tile") return gemm_register_tile<T>(op, stream);
    if (variant == "warp_tile") return gemm_warp_tile<T>(op, stream);
    if (variant == "wgmma") return run_wgmma(op, static_cast<float*>(workspace), stream);
    if constexpr (!std::is_same_v<T, float>) gemm_tensor_core<T>(op, workspace, stream);
  });
}

}  // namespace convoy::CONVOY_TARGET
