// SPDX-License-Identifier: MIT
#pragma once
// The gradient of a convolution's bias: the sums of dy's columns, beside a rung whose product does
// not meet them on its way.

#include "kernels/conv2d.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
struct BiasTerms {
  const T* dy;  // [pixels, filters]
  GradientPrologue prologue;

  template <int N>
  struct Pack {
    static constexpr int kAtOnce = 4;
    struct Fetched {
      CONVOY_TARGET::Fetched<T, N> dy, raw;
    };
    const BiasTerms& all;
    NormGradientLine lines[N] = {};

    __device__ Pack(const BiasTerms& terms, std::int64_t filter) : all(terms) {
      if (!normed()) return;
      for (int j = 0; j < N; ++j) lines[j] = all.prologue.lines[filter + j];
    }
    __device__ bool normed() const { return all.prologue.lines != nullptr; }
    __device__ Fetched ask(std::int64_t, std::int64_t i) const {
      Fetched fetched = {fetch<N>(all.dy + i), {}};
      if (normed()) fetched.raw = fetch<N>(static_cast<const T*>(all.prologue.raw) + i);
      return fetched;
    }
    __device__ void take(const Fetched& fetched, std::int64_t, LongSum (&sum)[N],
                         LongSum (&)[N]) const {
      float v[N], raw[N];
      take_floats(fetched.dy, v);
      take_floats(fetched.raw, raw);
      for (int j = 0; j < N; ++j) {
        sum[j].add(normed() ? widen(narrow<T>(through_norm(lines[j], v[j], raw[j]))) : v[j]);
      }
    }
  };
};

template <class T>
__global__ void __launch_bounds__(kFinishThreads)
    conv2d_finish_bias(Conv2dBackwardWeight op, const double* partial, unsigned splits) {
  begin_kernel();
  const ColumnSums sums = column_sums(partial, splits, op.g.K);
  if (!has_column(op.g.K)) return;
  const Results<T> dbias{op.dbias, op.grad_dtype == DType::f32};
  dbias.put(channel_to_join(), static_cast<float>(sums.first), op.accumulate_bias);
}

inline RowSplits bias_splits(const Conv2dGeometry& g, const Device& device) {
  return row_splits(g.N * g.P * g.Q, g.K, device);
}

// Room for one gradient, then for the other: `weight` bytes are what the weights' takes.
inline std::size_t either_gradient_bytes(const Conv2dBackwardWeight& op, std::size_t weight,
                                         const Device& device) {
  return max(op.dweight == nullptr ? 0 : weight,
             op.dbias == nullptr ? 0 : bias_splits(op.g, device).bytes(op.g.K));
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
  launch_finish(op.g.K, stream, conv2d_finish_bias<T>, op, sums, splits.count);
}

}  // namespace convoy::CONVOY_TARGET
