// SPDX-License-Identifier: MIT
#pragma once
// What the optimizers' kernels read from StepState, and how they store what they step.

#include "kernels/gpu/flat.cuh"
#include "kernels/optimizer.h"

namespace convoy::CONVOY_TARGET {

struct StepValues {
  float learning_rate;
  float gradient_factor;  // over loss_scale, times clip_factor
};

__device__ __forceinline__ StepValues step_values(const StepState& state, int group) {
  return {state.learning_rate[group], unscale_factor(state) * state.clip_factor};
}

// The gradient with weight decay. Of two products a compiler may fuse either with their sum, and of
// packs another one than of single elements: here it is always the same one.
__device__ __forceinline__ float decayed(float gradient, const StepValues& step, float decay,
                                         float parameter) {
  return fmaf(decay, parameter, gradient * step.gradient_factor);
}

// The model's weights, rounded from the N masters p. Of half parameters there is no copy.
template <class T, int N>
__device__ __forceinline__ void store_half(const HalfCopy& half, std::int64_t first,
                                           const float (&p)[N]) {
  if constexpr (std::is_same_v<T, float>) {
    if (half.data == nullptr) return;
    if (half.dtype == DType::f16) {
      store_floats(static_cast<F16*>(half.data) + first, p);
    } else {
      store_floats(static_cast<BF16*>(half.data) + first, p);
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
