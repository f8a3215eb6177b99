// SPDX-License-Identifier: MIT
#pragma once
// From the sums of the gradient behind the activation to each channel's line, and by it to dx.

#include "kernels/batch_norm.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

// The gradient behind the activation. Without y the ReLU's input is computed again, and rounded as
// y was.
template <class T>
struct MaskedGradient {
  const T *x, *y, *dy, *scale, *bias;
  const float *mean, *rstd;
  bool relu;

  __device__ NormLine line(std::int64_t c) const {
    return {mean[c], value_or(scale, c, 1) * rstd[c], value_or(bias, c, 0), rstd[c]};
  }
  template <int N>
  struct Fetched {
    CONVOY_TARGET::Fetched<T, N> x, dy, y;
  };
  // Of N elements: x, and dy where y is above zero.
  template <int N>
  __device__ Fetched<N> ask(std::int64_t i) const {
    Fetched<N> fetched = {fetch<N>(x + i), fetch<N>(dy + i), {}};
    if (relu && y != nullptr) fetched.y = fetch<N>(y + i);
    return fetched;
  }
  template <int N>
  __device__ void take(const Fetched<N>& fetched, const NormLine (&lines)[N], float (&v)[N],
                       float (&g)[N]) const {
    take_floats(fetched.x, v);
    take_floats(fetched.dy, g);
    if (relu) mask(y != nullptr, fetched.y, lines, v, g);
  }

  // Sums of g and of g * (x - mean).
  template <int N>
  struct Pack {
    static constexpr int kAtOnce = 2;
    using Fetched = typename MaskedGradient::template Fetched<N>;
    MaskedGradient all;
    NormLine lines[N];
    __device__ Pack(const MaskedGradient& masked, std::int64_t c) : all(masked) {
      for (int j = 0; j < N; ++j) lines[j] = all.line(c + j);
    }
    __device__ Fetched ask(std::int64_t, std::int64_t i) const { return all.template ask<N>(i); }
    __device__ void take(const Fetched& fetched, std::int64_t, LongSum (&sum)[N],
                         LongSum (&dot)[N]) const {
      float v[N], g[N];
      all.take(fetched, lines, v, g);
      for (int j = 0; j < N; ++j) {
        sum[j].add(g[j]);
        dot[j].add_product(g[j], v[j] - lines[j].mean);
      }
    }
  };
};

// Level and slope of the line (norm_line.cuh) are 0 where the statistics were constants.
template <class T>
__global__ void __launch_bounds__(kFinishThreads)
    finish_sums(std::int64_t rows, std::int64_t channels, const double* partial, unsigned splits,
                bool training, Results<T> d_scale, bool accumulate_scale, Results<T> d_bias,
                bool accumulate_bias, MaskedGradient<T> in, NormGradientLine* lines, double* own) {
  begin_kernel();
  const ColumnSums sums = column_sums(partial, splits, channels);
  if (!has_column(channels)) return;
  const std::int64_t c = channel_to_join();
  const double sum = sums.first, dot = sums.second;
  const NormLine line = in.line(c);
  const double r = line.rstd, per_row = training ? 1 / static_cast<double>(rows) : 0;
  if (d_scale.data) d_scale.put(c, static_cast<float>(dot * r), accumulate_scale);
  if (d_bias.data) d_bias.put(c, static_cast<float>(sum), accumulate_bias);
  if (own != nullptr) own[c] = sum, own[channels + c] = dot;
  lines[c] = {line.mean, line.gain, static_cast<float>(sum * per_row),
              static_cast<float>(dot * r * r * per_row)};
}

// The same from the sums of all ranks.
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    finish_sums_of_ranks(std::int64_t channels, SumsOfRanks sums, SumsOfRanks moments,
                         MaskedGradient<T> in, NormGradientLine* lines) {
  begin_kernel();
  const std::int64_t c = my_column();
  if (!inside(c, channels)) return;
  double sum = 0, dot = 0, rows = 0;
  for (std::int64_t r = 0; r < sums.ranks; ++r) {
    sum += sums.each[2 * r * channels + c];
    dot += sums.each[(2 * r + 1) * channels + c];
    rows += moments.each[r * (1 + 2 * channels)];
  }
  const NormLine line = in.line(c);
  const double r = line.rstd;
  lines[c] = {line.mean, line.gain, static_cast<float>(sum / rows),
              static_cast<float>(dot * r * r / rows)};
}

template <class T, int N>
__device__ __forceinline__ void put_pack(T* out, std::int64_t i, float (&v)[N], bool accumulate) {
  if (out == nullptr) return;
  float old[N];
  if (accumulate) load_floats(out + i, old);
  for (int j = 0; j < N; ++j) v[j] = accumulate ? old[j] + v[j] : v[j];
  store_floats(out + i, v);
}

template <class T>
struct BatchNormGradients {
  T *dx, *d_residual;  // each may be null
  bool accumulate, accumulate_residual;
};

template <class T, int N>
__global__ void __launch_bounds__(kPassThreads)
    write_gradients(Passage p, MaskedGradient<T> in, const NormGradientLine* lines_of,
                    BatchNormGradients<T> out) {
  begin_kernel();
  NormLine lines[N];
  NormGradientLine through[N];
  for_my_rows<N, 2>(
      p,
      [&](std::int64_t c) {
        for (int j = 0; j < N; ++j) {
          through[j] = load_vector<NormGradientLine>(lines_of + c + j);
          const float bias = in.relu && in.y == nullptr ? value_or(in.bias, c + j, 0) : 0;
          lines[j] = {through[j].mean, through[j].gain, bias, 0};
        }
      },
      [&](std::int64_t i) { return in.template ask<N>(i); },
      [&](const auto& fetched, std::int64_t i) {
        float x[N], g[N];
        in.take(fetched, lines, x, g);
        for (int j = 0; j < N; ++j) x[j] = through_norm(through[j], g[j], x[j]);
        put_pack(out.dx, i, x, out.accumulate);
        put_pack(out.d_residual, i, g, out.accumulate_residual);
      });
}

}  // namespace convoy::CONVOY_TARGET
