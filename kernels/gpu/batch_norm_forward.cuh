// SPDX-License-Identifier: MIT
#pragma once
// From the moments of a batch, of all ranks' batches or from the running estimates to each
// channel's line. Moments are taken about the channel's first value, in sums that carry what f32
// rounds off: safe for any mean.

#include "kernels/batch_norm.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
struct MomentTerms {
  const T* x;

  template <int N>
  struct Pack {
    const T* x;
    float shift[N];
    __device__ Pack(const MomentTerms& all, std::int64_t c) : x(all.x) {
      load_floats(x + c, shift);
    }
    static constexpr int kAtOnce = 4;
    using Fetched = CONVOY_TARGET::Fetched<T, N>;
    __device__ Fetched ask(std::int64_t, std::int64_t i) const { return fetch<N>(x + i); }
    __device__ void take(const Fetched& fetched, std::int64_t, LongSum (&sum)[N],
                         LongSum (&square)[N]) const {
      float v[N];
      take_floats(fetched, v);
      for (int j = 0; j < N; ++j) {
        const float d = v[j] - shift[j];
        sum[j].add(d);
        square[j].add_product(d, d);
      }
    }
  };
};

template <class T>
struct BatchNormStatistics {
  const T *scale, *bias;
  float *mean, *rstd, *running_mean, *running_var;  // each may be null
  double momentum, eps;
  NormLine* lines;

  __device__ void put(std::int64_t c, float batch_mean, double var) const {
    const auto r = static_cast<float>(1 / sqrt(var + eps));
    if (mean != nullptr) mean[c] = batch_mean;
    if (rstd != nullptr) rstd[c] = r;
    lines[c] = {batch_mean, value_or(scale, c, 1) * r, value_or(bias, c, 0), r};
  }
  __device__ void move(std::int64_t c, double batch_mean, double unbiased_var) const {
    move_running(running_mean, c, momentum, batch_mean);
    move_running(running_var, c, momentum, unbiased_var);
  }
};

struct BatchMoments {
  double rows, mean, var;
};

template <class T>
__device__ __forceinline__ BatchMoments batch_moments(std::int64_t rows, const T* x,
                                                      const ColumnSums& sums, std::int64_t c) {
  const double n = static_cast<double>(rows), off = sums.first / n;
  return {n, static_cast<double>(widen(x[c])) + off, max(sums.second / n - off * off, 0.0)};
}

// What the batch gives.
template <class T>
__global__ void __launch_bounds__(kFinishThreads)
    finish_moments(std::int64_t rows, std::int64_t channels, const T* x, const double* partial,
                   unsigned splits, BatchNormStatistics<T> out) {
  begin_kernel();
  const ColumnSums sums = column_sums(partial, splits, channels);
  if (!has_column(channels)) return;
  const std::int64_t c = channel_to_join();
  const BatchMoments batch = batch_moments(rows, x, sums, c);
  out.put(c, static_cast<float>(batch.mean), batch.var);
  out.move(c, batch.mean, batch.var * (batch.rows / (batch.rows - 1)));
}

// What the other ranks are told.
template <class T>
__global__ void __launch_bounds__(kFinishThreads)
    put_own_moments(std::int64_t rows, std::int64_t channels, const T* x, const double* partial,
                    unsigned splits, double* own) {
  begin_kernel();
  const ColumnSums sums = column_sums(partial, splits, channels);
  const std::int64_t c = channel_to_join();
  if (c == 0 && warp_index() == 0) own[0] = static_cast<double>(rows);
  if (!has_column(channels)) return;
  const BatchMoments mine = batch_moments(rows, x, sums, c);
  own[1 + c] = mine.mean;
  own[1 + channels + c] = mine.var * mine.rows;
}

// What all ranks' rows give.
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    finish_moments_of_ranks(std::int64_t channels, SumsOfRanks moments,
                            BatchNormStatistics<T> out) {
  begin_kernel();
  const std::int64_t c = my_column();
  if (!inside(c, channels)) return;
  const ChannelMoments all = moments_over_ranks(moments, channels, c);
  const double var = all.squares / all.rows;
  out.put(c, static_cast<float>(all.mean), var);
  out.move(c, all.mean, var * all.unbias());
}

// Inference: the running estimates stand in for the batch's.
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    take_running(std::int64_t channels, BatchNormStatistics<T> out) {
  begin_kernel();
  const std::int64_t c = my_column();
  if (inside(c, channels)) out.put(c, out.running_mean[c], out.running_var[c]);
}

}  // namespace convoy::CONVOY_TARGET
