// SPDX-License-Identifier: MIT
// With g the gradient behind the activation, d = x - mean, and means over the rows:
//
//   dx = scale * rstd * (g - mean(g) - d * rstd^2 * mean(g * d))
//
// Pass one masks dy, writes the residual's gradient (which is g) and sums g and g * d; pass two
// writes dx, and reads g back from the residual's gradient where that holds nothing else.
#include "kernels/batch_norm.h"
#include "kernels/cpu/batch_norm_scratch.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/wide_rows.h"

namespace convoy::on_cpu {
namespace {

// The gradient behind the activation.
template <class T>
struct MaskedGradient {
  const T *dy, *x, *y;     // y null: the mask is recomputed
  const T *gain, *offset;  // lane rows
  bool relu;

  // n lanes from `at`: a pointer to them, in `buffer` where there was something to mask.
  const T* operator()(std::int64_t at, std::int64_t lane, std::int64_t n, T* buffer) const {
    if (!relu) return dy + at;
    if (y != nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        const T g = dy[at + i];  // loaded in either case: a load under the condition is slow
        buffer[i] = y[at + i] > T{0} ? g : T{0};
      }
    } else {
      const T *a = gain + lane, *b = offset + lane;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        const T g = dy[at + i];
        buffer[i] = x[at + i] * a[i] + b[i] > T{0} ? g : T{0};
      }
    }
    return buffer;
  }
};

// Hands g on to the residual's gradient.
template <class T>
void give_residual(T* out, const T* g, std::int64_t n, bool accumulate) {
  if (accumulate) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] += g[i];
  } else if (out != g) {
    std::copy_n(g, n, out);
  }
}

// Sums of g and g * d over rows [begin, end), which lie within one block, added to sum and dot.
template <class T>
void block_sums(const BatchNormBackward& op, const WideRows& wide, const LaneTile& tile,
                const MaskedGradient<T>& gradient, std::int64_t begin, std::int64_t end,
                double* sum, double* dot) {
  T mean[kMaxLanes], buffer[kMaxLanes], g_sum[kMaxLanes] = {}, gd_sum[kMaxLanes] = {};
  tile.spread(static_cast<const T*>(op.mean) + tile.channel, mean);
  T* d_residual = static_cast<T*>(op.d_residual);
  const bool in_place = d_residual != nullptr && !op.accumulate_residual;
  wide.for_each_piece(begin, end, tile, [&](std::int64_t at, std::int64_t n) {
    const T* g = gradient(at, tile.lane, n, in_place ? d_residual + at : buffer);
    if (d_residual != nullptr) give_residual(d_residual + at, g, n, op.accumulate_residual);
    const T* x = static_cast<const T*>(op.x) + at;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      g_sum[i] += g[i];
      gd_sum[i] += g[i] * (x[i] - mean[i]);
    }
  });
  double folded[kMaxLanes];
  tile.fold(g_sum, folded);
  for (std::int64_t c = 0; c < tile.channels; ++c) sum[c] += folded[c];
  tile.fold(gd_sum, folded);
  for (std::int64_t c = 0; c < tile.channels; ++c) dot[c] += folded[c];
}

// Sums over all rows, into scratch.total().
template <class T>
void sums(const BatchNormBackward& op, const NormScratch<T>& scratch,
          const MaskedGradient<T>& gradient) {
  const WideRows& wide = scratch.wide;
  parallel_for(wide.chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      double* part = scratch.chunk(i);
      std::fill_n(part, 2 * wide.channels, 0.0);
      wide.for_each_tile([&](const LaneTile& tile) {
        const std::int64_t end = wide.chunk_begin(i + 1);
        for (std::int64_t row = wide.chunk_begin(i); row < end; row += wide.block_rows) {
          block_sums(op, wide, tile, gradient, row, std::min(end, row + wide.block_rows),
                     part + tile.channel, part + wide.channels + tile.channel);
        }
      });
    }
  });
  double* total = scratch.total();
  std::fill_n(total, 2 * wide.channels, 0.0);
  for (std::int64_t i = 0; i < wide.chunks; ++i) {
    for (std::int64_t c = 0; c < 2 * wide.channels; ++c) total[c] += scratch.chunk(i)[c];
  }
}

template <class T>
void put(void* out, std::int64_t c, double value, bool accumulate) {
  if (out == nullptr) return;
  T& at = static_cast<T*>(out)[c];
  at = static_cast<T>(accumulate ? static_cast<double>(at) + value : value);
}

// The coefficients of dx = gain * g - (d * slope + level), as lane rows.
template <class T>
struct Coefficients {
  const T *gain, *mean, *slope, *level;
};

// Inference, where mean and rstd do not depend on x: dx = gain * g.
template <class T>
void write_scaled(const Coefficients<T>& k, const T* g, std::int64_t n, bool accumulate, T* dx) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T v = k.gain[i] * g[i];
    dx[i] = accumulate ? dx[i] + v : v;
  }
}

template <class T>
void write_input_gradient(const Coefficients<T>& k, const T* g, const T* x, std::int64_t n,
                          bool accumulate, T* dx) {
  if (accumulate) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] += k.gain[i] * g[i] - ((x[i] - k.mean[i]) * k.slope[i] + k.level[i]);
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] = k.gain[i] * g[i] - ((x[i] - k.mean[i]) * k.slope[i] + k.level[i]);
    }
  }
}

template <class T>
void input_gradient(const BatchNormBackward& op, const WideRows& wide,
                    const MaskedGradient<T>& gradient, const Coefficients<T>& all) {
  const T* x = static_cast<const T*>(op.x);
  T* dx = static_cast<T*>(op.dx);
  parallel_for(op.rows, wide.grain(kGrainElements), [&](std::int64_t begin, std::int64_t end) {
    T buffer[kMaxLanes];
    wide.for_each_run(begin, end, [&](std::int64_t at, std::int64_t lane, std::int64_t n) {
      const T* g = gradient(at, lane, n, buffer);
      const Coefficients<T> k{all.gain + lane, all.mean + lane, all.slope + lane, all.level + lane};
      if (op.training) {
        write_input_gradient(k, g, x + at, n, op.accumulate, dx + at);
      } else {
        write_scaled(k, g, n, op.accumulate, dx + at);
      }
    });
  });
}

template <class T>
void backward(const BatchNormBackward& op, void* workspace) {
  const WideRows wide = wide_rows(op.rows, op.channels);
  const NormScratch<T> scratch(wide, workspace);
  const Affine<T> affine{op.scale, op.bias, op.mean, op.rstd};
  const T* gain = scratch.fill(0, [&](std::int64_t c) { return affine.gain(c); });
  const T* offset = scratch.fill(1, [&](std::int64_t c) { return affine.offset(c); });
  MaskedGradient<T> gradient{static_cast<const T*>(op.dy),
                             static_cast<const T*>(op.x),
                             static_cast<const T*>(op.y),
                             gain,
                             offset,
                             op.relu};
  sums(op, scratch, gradient);

  const double *sum = scratch.total(), *dot = sum + op.channels;
  const T *mean = static_cast<const T*>(op.mean), *rstd = static_cast<const T*>(op.rstd);
  for (std::int64_t c = 0; c < op.channels; ++c) {
    put<T>(op.d_scale, c, dot[c] * static_cast<double>(rstd[c]), op.accumulate_scale);
    put<T>(op.d_bias, c, sum[c], op.accumulate_bias);
  }
  if (op.dx == nullptr || op.rows == 0) return;
  if (op.d_residual != nullptr && !op.accumulate_residual) {
    gradient.dy = static_cast<const T*>(op.d_residual);
    gradient.relu = false;
  }
  const double n = static_cast<double>(op.rows);
  const auto slope = [&](std::int64_t c) {
    const double r = static_cast<double>(rstd[c]);
    return affine.gain(c) * r * r * dot[c] / n;
  };
  const auto level = [&](std::int64_t c) { return affine.gain(c) * sum[c] / n; };
  const Coefficients<T> k{gain, scratch.fill(2, [&](std::int64_t c) { return mean[c]; }),
                          scratch.fill(3, slope), scratch.fill(4, level)};
  input_gradient(op, wide, gradient, k);
}

}  // namespace

Plan plan(const BatchNormBackward& op, const Device&) {
  const WideRows wide = wide_rows(op.rows, op.channels);
  return with_float(op.dtype, [&]<class T>(Type<T>) {
    return Plan{.variant = "wide_rows", .workspace_bytes = NormScratch<T>::bytes(wide, 5)};
  });
}

void run(const BatchNormBackward& op, const Plan&, void* workspace, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { backward<T>(op, workspace); });
}

}  // namespace convoy::on_cpu
