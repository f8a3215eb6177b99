// SPDX-License-Identifier: MIT
// Both gradients of a convolution: in one launch where there is one, else one after the other.
#include "kernels/conv2d.h"
#include "kernels/gpu/conv2d/both_gradients.cuh"
#include "kernels/gpu/conv2d/both_halo.cuh"
#include "kernels/gpu/conv2d/fused.h"
#include "kernels/gpu/ladder.h"

namespace convoy {
CONVOY_LADDER(Conv2dBackward)
}  // namespace convoy

namespace convoy::CONVOY_TARGET {
namespace {

// The launch for both has its norms on load: without them dy is half as much to read. Rung 4
// and halo have no sums for the bias.
std::vector<const char*> rungs_for(const Conv2dBackward& op) {
  const bool fused = is_fused(op.input) && is_fused(op.weight) && op.weight.dweight != nullptr;
  if (!fused) return {"apart"};
  const bool has_bias = op.weight.dbias != nullptr;
  std::vector<const char*> names = {"apart"};
  if (op.input.dtype == DType::f32) names.insert(names.end(), {"implicit_gemm", "register_tile"});
  const bool tensor_core = conv2d_fits_tensor_core(op.input.g, op.input.dtype) && !has_bias;
  if (tensor_core) names.push_back("tensor_core");
  const bool halo = conv2d_fits_halo(op.input) && conv2d_fits_halo(op.weight) && !has_bias;
  if (halo) names.push_back("halo");
  return names;
}

std::size_t bytes_of_rung(const Conv2dBackward& op, const Device& device,
                          std::string_view variant) {
  if (variant == "tensor_core") return conv2d_both_tensor_core_workspace(op, device);
  if (variant == "halo") return conv2d_both_halo_workspace(op, device);
  if (variant == "implicit_gemm") return conv2d_both_implicit_gemm_workspace(op);
  if (variant == "register_tile") return conv2d_both_register_tile_workspace(op);
  return max(CONVOY_TARGET::plan(op.input, device).workspace_bytes,
             CONVOY_TARGET::plan(op.weight, device).workspace_bytes);
}

void run_apart(const Conv2dBackward& op, void* workspace, const Stream& stream) {
  const auto run_one = [&](const auto& one) {
    CONVOY_TARGET::run(one, CONVOY_TARGET::plan(one, stream.device), workspace, stream);
  };
  run_one(op.weight);
  run_one(op.input);
}

}  // namespace

std::vector<const char*> rungs(const Conv2dBackward& op) { return rungs_for(op); }

Plan plan_rung(const Conv2dBackward& op, const Device& device, std::string_view variant) {
  for (const char* rung : rungs_for(op)) {
    if (variant == rung) return {rung, bytes_of_rung(op, device, rung)};
  }
  unknown_rung(
      "conv2d", variant,
      "apart, and if fused implicit_gemm or register_tile in f32, tensor_core in halves, or halo");
}

Plan plan(const Conv2dBackward& op, const Device& device) {
  return plan_rung(op, device, rungs_for(op).back());
}

void run(const Conv2dBackward& op, const Plan& plan, void* workspace, const Stream& stream) {
  if (plan.variant == std::string_view("apart")) return run_apart(op, workspace, stream);
  with_dtype("conv2d", op.input.dtype, [&]<class T>(Type<T>) {
    if (plan.variant == std::string_view("halo")) return conv2d_both_halo<T>(op, workspace, stream);
    if constexpr (std::is_same_v<T, float>) {
      const bool patches = plan.variant == std::string_view("register_tile");
      patches ? conv2d_both_register_tile<T>(op, workspace, stream)
              : conv2d_both_implicit_gemm<T>(op, workspace, stream);
    } else {
      conv2d_both_tensor_core<T>(op, workspace, stream);
    }
  });
}

}  // namespace convoy::CONVOY_TARGET
