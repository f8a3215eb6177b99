// SPDX-License-Identifier: MIT
// The ladder of gemm: which rung runs, and its launch. The kernels stand in kernels/gpu/gemm/.
#include "kernels/gemm.h"

#include "kernels/gpu/gemm/1_naive.cuh"
#include "kernels/gpu/gemm/2_shared_tile.cuh"
#include "kernels/gpu/gemm/5_tensor_core.cuh"
#include "kernels/gpu/ladder.h"

namespace convoy {
CONVOY_LADDER(Gemm)
}

namespace convoy::CONVOY_TARGET {

std::vector<const char*> rungs(const Gemm& op) {
  if (!gemm_fits_shared_tile(op)) return {"naive"};
  if (!gemm_fits_tensor_core(op)) return {"naive", "shared_tile"};
  return {"naive", "shared_tile", "tensor_core"};
}

Plan plan_rung(const Gemm& op, const Device& device, std::string_view variant) {
  with_dtype("gemm", op.dtype, [](auto) {});
  for (const char* rung : rungs(op)) {
    if (variant != rung) continue;
    const bool splits = variant == "tensor_core";
    return {.variant = rung,
            .workspace_bytes = splits ? gemm_tensor_core_workspace(op, device) : 0};
  }
  unknown_rung("gemm", variant, "naive, shared_tile or tensor_core");
}

// The highest rung, whatever the shape: a product too small to fill a tile is too short for the
// choice to matter, and the tile's width follows N. (Of f32 no rung so far splits K over blocks,
// which a large K with a small c would gain from.)
Plan plan(const Gemm& op, const Device& device) { return plan_rung(op, device, rungs(op).back()); }

void run(const Gemm& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (op.batch * op.M * op.N == 0) return;
  with_dtype("gemm", op.dtype, [&]<class T>(Type<T>) {
    if (std::string_view(plan.variant) == "naive") return gemm_naive<T>(op, stream);
    if constexpr (!std::is_same_v<T, float>) {
      if (std::string_view(plan.variant) == "tensor_core")
        return gemm_tensor_core<T>(op, workspace, stream);
    }
    gemm_shared_tile<T>(op, stream);
  });
}

}  // namespace convoy::CONVOY_TARGET
