// SPDX-License-Identifier: MIT
#pragma once
// How both rungs sum the gradients of weight and bias over all outputs: in parts of a fixed size,
// each with sums of its own in the workspace, which a second kernel adds in the order of the parts.
// The parts depend on the shape alone: the same bits on every GPU.
//
// Sums are [part][R S C/groups + 1][K] in f32, rounded once at the end. The row behind the weights
// is the bias: a weight whose input is one.

#include "kernels/conv2d.h"
#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct Parts {
  std::int64_t count, size;  // the last may be shorter
};

// At most `wanted` parts of [0, extent), their size a multiple of `unit`.
inline Parts cut(std::int64_t extent, std::int64_t wanted, std::int64_t unit) {
  const std::int64_t units = (extent + unit - 1) / unit;
  const std::int64_t size = (units + wanted - 1) / wanted * unit;
  return {size == 0 ? 0 : (extent + size - 1) / size, size};
}

__host__ __device__ inline std::int64_t weights_per_filter(const Conv2dGeometry& g) {
  return g.R * g.S * (g.C / g.groups);
}
__host__ __device__ inline std::int64_t sums_per_part(const Conv2dGeometry& g) {
  return (weights_per_filter(g) + 1) * g.K;
}

// Where the next part of a workspace begins, behind one of so many bytes.
inline std::size_t behind(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

constexpr int kAddThreads = 128;

template <class T>
__device__ void store_gradient(T& place, float sum, bool accumulate) {
  if (accumulate) sum += widen(place);
  place = narrow<T>(sum);
}

// Lanes go along K, as the sums do; the scattered stores are one for each gradient.
template <class T>
__global__ void __launch_bounds__(kAddThreads)
    conv2d_add_parts(Conv2dBackwardWeight op, const float* sums, std::int64_t parts) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kAddThreads + threadIdx.x;
  if (!inside(i, sums_per_part(op.g))) return;
  const std::int64_t weights = weights_per_filter(op.g), row = i / op.g.K, k = i % op.g.K;
  const bool is_bias = row == weights;
  if ((is_bias ? op.dbias : op.dweight) == nullptr) return;
  float sum = 0;
  for (std::int64_t part = 0; part < parts; ++part) sum += sums[part * sums_per_part(op.g) + i];
  const bool in_f32 = op.grad_dtype == DType::f32;
  if (is_bias) {
    Results<T>{op.dbias, in_f32}.put(k, sum, op.accumulate_bias);
  } else {
    Results<T>{op.dweight, in_f32}.put(k * weights + row, sum, op.accumulate);
  }
}

template <class T>
void add_parts(const Conv2dBackwardWeight& op, const float* sums, std::int64_t parts,
               const Stream& stream) {
  launch({.grid = blocks_for(sums_per_part(op.g), kAddThreads),
          .block = kAddThreads,
          .stream = stream},
         conv2d_add_parts<T>, op, sums, parts);
}

}  // namespace convoy::CONVOY_TARGET
