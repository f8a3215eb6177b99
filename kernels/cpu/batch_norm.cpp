// SPDX-License-Identifier: MIT
// Two passes over memory forward (moments, then apply) and two backward (sums, then apply).
//
// Moments are taken about a shift, the mean of what a chunk has seen so far (for its first block:
// of the block's first eighth). Per block, sums of d = x - shift and of d * d run in working
// precision and are merged in double by Chan's rule. That is safe for any mean: for blocks of equal
// size, the sum of n * (shift - block mean)^2 is at most twice the total sum of squares (for the
// first block, eight times its own), so squaring about the shift loses hardly a digit.
#include "kernels/batch_norm.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/batch_norm_scratch.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/wide_rows.h"

namespace convoy::on_cpu {
namespace {

// (mean, m2) of n_a rows take in (mean_b, m2_b) of n_b further rows.
void merge_moments(double n_a, double* mean, double* m2, double n_b, const double* mean_b,
                   const double* m2_b, std::int64_t channels) {
  const double share = n_b / (n_a + n_b), between = n_a * share;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double delta = mean_b[c] - mean[c];
    mean[c] += delta * share;
    m2[c] += m2_b[c] + delta * delta * between;
  }
}

// Mean and sum of squares about it of rows [begin, end), which lie within one block.
template <class T>
void block_moments(const WideRows& wide, const LaneTile& tile, const T* x, std::int64_t begin,
                   std::int64_t end, const double* about, double* mean, double* m2) {
  T shift[kMaxLanes], sum[kMaxLanes] = {}, square[kMaxLanes] = {};
  tile.spread(about, shift);
  wide.for_each_piece(begin, end, tile, [&](std::int64_t at, std::int64_t n, auto group) {
    const T* __restrict row = x + at;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      T s = 0, q = 0;
      for (int k = 0; k < group; ++k) {
        const T d = row[i + k * wide.width] - shift[i];
        s += d;
        q += d * d;
      }
      sum[i] += s;
      square[i] += q;
    }
  });
  tile.fold(sum, mean);
  tile.fold(square, m2);
  const double n = static_cast<double>(end - begin);
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    const double off = mean[c] / n;
    mean[c] = static_cast<double>(shift[c]) + off;
    m2[c] -= off * off * n;
  }
}

template <class T>
void chunk_moments(const WideRows& wide, const LaneTile& tile, const T* x, std::int64_t begin,
                   std::int64_t end, double* mean, double* m2) {
  double block_mean[kMaxLanes], block_m2[kMaxLanes];
  std::fill_n(mean, tile.channels, 0.0);
  std::fill_n(m2, tile.channels, 0.0);
  const std::int64_t sample = std::min(end, begin + wide.block_rows / 8);
  block_moments(wide, tile, x, begin, sample, mean, block_mean, block_m2);
  std::copy_n(block_mean, tile.channels, mean);  // the shift for the first block
  for (std::int64_t row = begin; row < end; row += wide.block_rows) {
    const std::int64_t stop = std::min(end, row + wide.block_rows);
    block_moments(wide, tile, x, row, stop, mean, block_mean, block_m2);
    merge_moments(static_cast<double>(row - begin), mean, m2, static_cast<double>(stop - row),
                  block_mean, block_m2, tile.channels);
  }
}

// Mean and biased variance of every channel, into scratch.total().
template <class T>
void batch_moments(const T* x, const NormScratch<T>& scratch) {
  const WideRows& wide = scratch.wide;
  parallel_for(wide.chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      wide.for_each_tile([&](const LaneTile& tile) {
        double* mean = scratch.chunk(i) + tile.channel;
        chunk_moments(wide, tile, x, wide.chunk_begin(i), wide.chunk_begin(i + 1), mean,
                      mean + wide.channels);
      });
    }
  });
  double* mean = scratch.total();
  double* var = mean + wide.channels;
  std::fill_n(mean, 2 * wide.channels, 0.0);
  for (std::int64_t i = 0; i < wide.chunks; ++i) {
    const std::int64_t begin = wide.chunk_begin(i);
    const double* part = scratch.chunk(i);
    merge_moments(static_cast<double>(begin), mean, var,
                  static_cast<double>(wide.chunk_begin(i + 1) - begin), part, part + wide.channels,
                  wide.channels);
  }
  for (std::int64_t c = 0; c < wide.channels; ++c) var[c] /= static_cast<double>(wide.rows);
}

template <class T>
void move_running(void* running, double momentum, std::int64_t c, double batch) {
  if (running == nullptr) return;
  T& value = static_cast<T*>(running)[c];
  value = static_cast<T>((1 - momentum) * static_cast<double>(value) + momentum * batch);
}

// Writes mean and rstd of a channel, and moves the running estimates.
template <class T>
void put_statistics(const BatchNormForward& op, std::int64_t c, double mean, double var,
                    double unbias) {
  static_cast<T*>(op.mean)[c] = static_cast<T>(mean);
  static_cast<T*>(op.rstd)[c] = static_cast<T>(1 / std::sqrt(var + op.eps));
  move_running<T>(op.running_mean, op.momentum, c, mean);
  move_running<T>(op.running_var, op.momentum, c, var * unbias);
}

template <class T>
void finish_moments(const BatchNormForward& op, const double* mean, const double* var) {
  const double unbias = static_cast<double>(op.rows) / static_cast<double>(op.rows - 1);
  for (std::int64_t c = 0; c < op.channels; ++c) {
    put_statistics<T>(op, c, mean[c], var[c], unbias);
  }
}

template <class T>
void finish_moments_of_ranks(const BatchNormForward& op) {
  for (std::int64_t c = 0; c < op.channels; ++c) {
    const ChannelMoments all = moments_over_ranks(op.moments, op.channels, c);
    put_statistics<T>(op, c, all.mean, all.squares / all.rows, all.unbias());
  }
}

// What the other ranks are told.
void put_own(const BatchNormForward& op, const double* mean, const double* var) {
  const double rows = static_cast<double>(op.rows);
  op.moments.own[0] = rows;
  for (std::int64_t c = 0; c < op.channels; ++c) {
    op.moments.own[1 + c] = mean[c];
    op.moments.own[1 + op.channels + c] = var[c] * rows;
  }
}

// Inference: the running estimates stand in for the batch's.
template <class T>
void take_running(const BatchNormForward& op, T* mean, T* rstd) {
  for (std::int64_t c = 0; c < op.channels; ++c) {
    mean[c] = static_cast<const T*>(op.running_mean)[c];
    rstd[c] = static_cast<T>(1 / std::sqrt(value_or<T>(op.running_var, c, 1) + op.eps));
  }
}

// y = act(x * gain + offset + residual). The comparison keeps a NaN.
template <class T>
void apply(const BatchNormForward& op, const WideRows& wide, const T* gain, const T* offset) {
  const T* x = static_cast<const T*>(op.x);
  const T* residual = static_cast<const T*>(op.residual);
  T* y = static_cast<T*>(op.y);
  const T floor = op.relu ? T{0} : -std::numeric_limits<T>::infinity();
  parallel_for(op.rows, wide.grain(kGrainElements), [&](std::int64_t begin, std::int64_t end) {
    wide.for_each_run(begin, end, [&](std::int64_t at, std::int64_t lane, std::int64_t n) {
      const T *a = gain + lane, *b = offset + lane;
      if (residual == nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
          const T v = x[at + i] * a[i] + b[i];
          y[at + i] = floor > v ? floor : v;
        }
      } else {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
          const T v = x[at + i] * a[i] + b[i] + residual[at + i];
          y[at + i] = floor > v ? floor : v;
        }
      }
    });
  });
}

template <class T>
void forward(BatchNormForward op, void* workspace) {
  const WideRows wide = wide_rows(op.rows, op.channels);
  const NormScratch<T> scratch(wide, workspace);
  if (op.moments.each != nullptr) {
    finish_moments_of_ranks<T>(op);
  } else if (op.training) {
    batch_moments(static_cast<const T*>(op.x), scratch);
    const double *mean = scratch.total(), *var = mean + op.channels;
    if (op.moments.own != nullptr) return put_own(op, mean, var);
    finish_moments<T>(op, mean, var);
  } else {
    if (op.mean == nullptr) op.mean = scratch.row(2);
    if (op.rstd == nullptr) op.rstd = scratch.row(3);
    take_running(op, static_cast<T*>(op.mean), static_cast<T*>(op.rstd));
  }
  const Affine<T> affine{op.scale, op.bias, op.mean, op.rstd};
  const T* gain = scratch.fill(0, [&](std::int64_t c) { return affine.gain(c); });
  const T* offset = scratch.fill(1, [&](std::int64_t c) { return affine.offset(c); });
  apply<T>(op, wide, gain, offset);
}

}  // namespace

Plan plan(const BatchNormForward& op, const Device&) {
  const WideRows wide = wide_rows(op.rows, op.channels);
  return with_float(op.dtype, [&]<class T>(Type<T>) {
    return Plan{.variant = "wide_rows", .workspace_bytes = NormScratch<T>::bytes(wide, 4)};
  });
}

void run(const BatchNormForward& op, const Plan&, void* workspace, const Stream&) {
  require_statistics(op);
  with_float(op.dtype, [&]<class T>(Type<T>) {
    if (op.rows > 0 && op.channels > 0) return forward<T>(op, workspace);
    if (op.moments.own != nullptr) {
      std::fill_n(op.moments.own, 1 + 2 * op.channels, 0.0);
      op.moments.own[0] = static_cast<double>(op.rows);
      return;
    }
    if (op.moments.each != nullptr) return finish_moments_of_ranks<T>(op);
    if (op.mean != nullptr) std::fill_n(static_cast<T*>(op.mean), op.channels, T{0});
    if (op.rstd != nullptr) std::fill_n(static_cast<T*>(op.rstd), op.channels, T{0});
  });
}

}  // namespace convoy::on_cpu
