// SPDX-License-Identifier: MIT
#pragma once
// Batch normalisation over [rows, channels] (NHWC flattened), with the residual addition and the
// ReLU that follow it in a ResNet fused in (Ioffe and Szegedy, arXiv:1502.03167; PyTorch's rules):
//
//   y = act(scale * (x - mean) * rstd + bias + residual),   rstd = 1 / sqrt(var + eps)
//
// Training takes mean and the biased variance of the batch, and moves the running estimates by
// running += momentum * (batch - running), with the unbiased variance. Inference takes the running
// estimates. Sums are exact to about one rounding whatever the mean: see cpu/batch_norm.cpp. Means,
// variances and rstd, running ones too, have the statistics_dtype of `dtype`. A value that is not
// finite makes its channel NaN, and no other.

#include "kernels/base.h"

namespace convoy {

// A batch that is spread over ranks: each sums over its rows (an op with `own`, which does nothing
// else to them), the ranks tell each other, and each goes on with the sums of all (an op with
// `each`), which are added in the order of the ranks and so have the same bits on all.
//
// Moments are [1 + 2 channels]: how many rows, the mean of each channel, the sum of squares about
// it. Gradient sums are [2 channels]: of each channel's g, the gradient behind the activation, and
// of g * (x - mean).
struct SumsOfRanks {
  double* own = nullptr;         // out
  const double* each = nullptr;  // [ranks, ...]
  std::int64_t ranks = 0;
};

// Of one channel, put together by Chan's rule.
struct ChannelMoments {
  double rows = 0, mean = 0, squares = 0;

  constexpr void take_in(const ChannelMoments& other) {
    if (other.rows == 0) return;
    const double share = other.rows / (rows + other.rows), delta = other.mean - mean;
    squares += other.squares + delta * delta * rows * share;
    mean += delta * share;
    rows += other.rows;
  }
  // What makes the unbiased variance of the biased one.
  constexpr double unbias() const { return rows > 1 ? rows / (rows - 1) : 1; }
};
constexpr ChannelMoments moments_over_ranks(const SumsOfRanks& moments, std::int64_t channels,
                                            std::int64_t c) {
  ChannelMoments all;
  for (std::int64_t r = 0; r < moments.ranks; ++r) {
    const double* const of_rank = moments.each + r * (1 + 2 * channels);
    all.take_in({of_rank[0], of_rank[1 + c], of_rank[1 + channels + c]});
  }
  return all;
}

// Training with rows == 1 throws Error: the variance of one value is nothing to divide by.
struct BatchNormForward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;         // [rows, channels]
  const void* residual = nullptr;  // [rows, channels], may be null
  const void* scale = nullptr;     // [channels], null: 1
  const void* bias = nullptr;      // [channels], null: 0
  void* running_mean = nullptr;    // [channels]; training: updated, may be null; inference: read
  void* running_var = nullptr;     // [channels], likewise
  void* mean = nullptr;            // [channels] out, for the gradient; inference: may be null
  void* rstd = nullptr;            // [channels] out, likewise
  void* y = nullptr;               // [rows, channels]; may be x or residual
  double momentum = 0.1;
  double eps = 1e-5;
  bool training = true;
  bool relu = false;
  DType dtype = DType::f32;
  SumsOfRanks moments = {};  // training only
};
CONVOY_KERNEL_OP(BatchNormForward)
void require_statistics(const BatchNormForward& op);  // throws that Error, or one if none are given

// With relu the gradient passes where the output was above zero or a NaN. That is read from y if y
// is given (it must be, where there was a residual), else recomputed from x, which saves a pass.
struct BatchNormBackward {
  std::int64_t rows = 0, channels = 0;
  const void* x = nullptr;      // [rows, channels]
  const void* y = nullptr;      // [rows, channels], may be null
  const void* dy = nullptr;     // [rows, channels]
  const void* scale = nullptr;  // [channels], null: 1
  const void* bias = nullptr;   // [channels], null: 0
  const void* mean = nullptr;   // [channels], as the forward wrote them
  const void* rstd = nullptr;   // [channels]
  void* dx = nullptr;           // [rows, channels], each of the four may be null
  void* d_residual = nullptr;   // [rows, channels]
  void* d_scale = nullptr;      // [channels]
  void* d_bias = nullptr;       // [channels]
  bool accumulate = false;      // into dx
  bool accumulate_residual = false;
  bool accumulate_scale = false;
  bool accumulate_bias = false;
  bool training = true;  // false: mean and rstd were constants
  bool relu = false;
  DType dtype = DType::f32;
  std::optional<DType> grad_dtype = {};  // of d_scale and d_bias; may be f32 where dtype is half
  // Over ranks, d_scale and d_bias are of this rank's rows, and written where `own` is.
  SumsOfRanks sums = {};
  SumsOfRanks moments = {};  // beside sums.each
};
CONVOY_KERNEL_OP(BatchNormBackward)

}  // namespace convoy
