// SPDX-License-Identifier: MIT
#pragma once
// The formulas of kernels/prologue.h, as every kernel that has one of its values applies them.

#include "kernels/gpu/flat.cuh"
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

// Of N elements from i on, keeps g where the ReLU let through: where z, or what the norm makes of x
// if z is null, is above 0 or a NaN.
template <class T, int N>
__device__ __forceinline__ void mask(const T* z, std::int64_t i, const NormLine (&lines)[N],
                                     const float (&x)[N], float (&g)[N]) {
  float stored[N];
  if (z != nullptr) load_floats(z + i, stored);
  for (int j = 0; j < N; ++j) {
    const float v = z != nullptr ? stored[j] : normed_as_stored<T>(lines[j], x[j], true);
    g[j] = v <= 0 ? 0 : g[j];
  }
}

// The same where z, if there is one, has been asked for.
template <class T, int N>
__device__ __forceinline__ void mask(bool has_z, const Fetched<T, N>& z, const NormLine (&lines)[N],
                                     const float (&x)[N], float (&g)[N]) {
  float stored[N];
  take_floats(z, stored);
  for (int j = 0; j < N; ++j) {
    const float v = has_z ? stored[j] : normed_as_stored<T>(lines[j], x[j], true);
    g[j] = v <= 0 ? 0 : g[j];
  }
}

// GradientEpilogue on elements `i` and on: masks v, and says how far raw is from its mean.
template <class T, int N>
__device__ __forceinline__ void mask(const GradientEpilogue& e, std::int64_t i,
                                     std::int64_t channel, float (&v)[N], float (&apart)[N]) {
  NormLine lines[N];
  float raw[N];
  load_floats(static_cast<const T*>(e.raw) + i, raw);
  for (int j = 0; j < N; ++j) {
    lines[j] = e.lines[channel + j];
    apart[j] = raw[j] - lines[j].mean;
  }
  if (e.relu) mask(static_cast<const T*>(e.z), i, lines, raw, v);
}

// A parameter of the norm; `missing` where there is none.
template <class T>
__device__ __forceinline__ float value_or(const T* values, std::int64_t c, float missing) {
  return values == nullptr ? missing : widen(values[c]);
}

// running += momentum * (batch - running)
__device__ __forceinline__ void move_running(float* running, std::int64_t c, double momentum,
                                             double batch) {
  if (running == nullptr) return;
  running[c] =
      static_cast<float>((1 - momentum) * static_cast<double>(running[c]) + momentum * batch);
}

}  // namespace convoy::CONVOY_TARGET
