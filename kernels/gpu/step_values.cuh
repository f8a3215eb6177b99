// SPDX-License-Identifier: MIT
#pragma once
// What the optimizers' kernels read from StepState.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct StepValues {
  float learning_rate;
  float gradient_factor;  // over loss_scale, times clip_factor
};

__device__ __forceinline__ StepValues step_values(const StepState& state, int group) {
  return {state.learning_rate[group], unscale_factor(state) * state.clip_factor};
}

}  // namespace convoy::CONVOY_TARGET
