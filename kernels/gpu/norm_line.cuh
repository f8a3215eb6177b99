// SPDX-License-Identifier: MIT
#pragma once
// The formulas of kernels/prologue.h, as every kernel that has one of its values applies them.

#include "kernels/gpu/gpu.cuh"
#include "kernels/prologue.h"

namespace convoy::CONVOY_TARGET {

__device__ __forceinline__ float normed(const NormLine& line, float x) {
  return fmaf(x - line.mean, line.gain, line.bias);
}
// The comparison keeps a NaN.
__device__ __forceinline__ float rectified(float v, bool relu) { return relu && v < 0 ? 0 : v; }

// The value that reads like T memory: what the norm's own pass would have stored.
template <class T>
__device__ __forceinline__ float normed_as_stored(const NormLine& line, float x, bool relu) {
  return widen(narrow<T>(rectified(normed(line, x), relu)));
}

__device__ __forceinline__ float through_norm(const NormGradientLine& line, float g, float x) {
  return line.gain * (g - line.level - (x - line.mean) * line.slope);
}

// dy in one element, or the gradient that it stands for.
template <class T>
__device__ __forceinline__ float gradient_at(const T* dy, const GradientPrologue& prologue,
                                             std::int64_t element, int filter) {
  const float g = widen(dy[element]);
  if (prologue.lines == nullptr) return g;
  const float raw = widen(static_cast<const T*>(prologue.raw)[element]);
  return widen(narrow<T>(through_norm(prologue.lines[filter], g, raw)));
}

}  // namespace convoy::CONVOY_TARGET
