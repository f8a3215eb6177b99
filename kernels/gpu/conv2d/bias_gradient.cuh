// SPDX-License-Identifier: MIT
#pragma once
// The gradient of a convolution's bias: the sums of dy's columns, beside a rung whose product does
// not meet them on its way.

#include "kernels/conv2d.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
struct BiasTerms {
  const T* dy;  // [pixels, filters]
  GradientPrologue prologue;

  template <int N>
  struct Pack {
    const BiasTerms& all;
    std::int64_t filter;
    __device__ Pack(const BiasTerms& terms, std::int64_t first) : all(terms), filter(first) {}
    __device__ void add(std::int64_t, std::int64_t i, LongSum (&sum)[N], LongSum (&)[N]) const {
      float v[N], raw[N];
      load_floats(all.dy + i, v);
      if (all.prologue.lines != nullptr) {
        load_floats(static_cast<const T*>(all.prologue.raw) + i, raw);
        for (int j = 0; j < N; ++j) {
          v[j] = widen(narrow<T>(through_norm(all.prologue.lines[filter + j], v[j], raw[j])));
        }
      }
      for (int j = 0; j < N; ++j) sum[j].add(v[j]);
    }
  };
};

template <class T>
__global__ void __launch_bounds__(kAddThreads)
    conv2d_finish_bias(Conv2dBackwardWeight op, const double* sums, unsigned splits) {
  begin_kernel();
  const std::int64_t k = std::int64_t{blockIdx.x} * kAddThreads + threadIdx.x;
  if (!inside(k, op.g.K)) return;
  const double sum = column_total(sums, splits, 0, op.g.K, k);
  const Results<T> dbias{op.dbias, op.grad_dtype == DType::f32};
  dbias.put(k, static_cast<float>(sum), op.accumulate_bias);
}

inline RowSplits bias_splits(const Conv2dGeometry& g, const Device& device) {
  return row_splits(g.N * g.P * g.Q, g.K, device);
}

template <class T>
void conv2d_bias_gradient(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const RowSplits splits = bias_splits(op.g, stream.device);
  auto* sums = static_cast<double*>(workspace);
  const BiasTerms<T> terms{static_cast<const T*>(op.dy), op.gradient_prologue};
  const auto sum = [&]<int N>(Width<N>) {
    launch_column_sums<N>(terms, op.g.N * op.g.P * op.g.Q, op.g.K, splits, sums, stream);
  };
  with_channel_packs<T>(op.g.K, sum, op.dy, op.gradient_prologue.raw);
  launch({.grid = blocks_for(op.g.K, kAddThreads), .block = kAddThreads, .stream = stream},
         conv2d_finish_bias<T>, op, sums, splits.count);
}

}  // namespace convoy::CONVOY_TARGET
