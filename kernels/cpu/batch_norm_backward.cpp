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

// Where the ReLU let through: where this is above 0, or a NaN.
enum class Mask : std::uint8_t {
  none,     // everywhere
  output,   // y
  computed  // x * gain + offset
};

template <class F>
void with_mask(Mask mask, F&& f) {
  if (mask == Mask::none) f(std::integral_constant<Mask, Mask::none>{});
  if (mask == Mask::output) f(std::integral_constant<Mask, Mask::output>{});
  if (mask == Mask::computed) f(std::integral_constant<Mask, Mask::computed>{});
}

// The operands of one run of lanes, and g from them.
template <class T>
struct Operands {
  const T *dy, *x, *y;     // of the run
  const T *gain, *offset;  // lane rows

  Operands at(std::int64_t element, std::int64_t lane) const {
    return {dy + element, x + element, y == nullptr ? y : y + element, gain + lane, offset + lane};
  }
  // Lane i of the wide row that lies `skip` elements further. dy is loaded in either case: a load
  // under the condition would not vectorise.
  template <Mask kMask>
  T gradient(std::int64_t i, std::int64_t skip) const {
    const T g = dy[i + skip];
    if constexpr (kMask == Mask::output) return y[i + skip] <= T{0} ? T{0} : g;
    if constexpr (kMask == Mask::computed) {
      return x[i + skip] * gain[i] + offset[i] <= T{0} ? T{0} : g;
    }
    return g;
  }
};

template <class T>
struct Source {
  Operands<T> all;
  Mask mask;
};

// Hands g on to the residual's gradient.
template <Mask kMask, class T>
void give_residual(const Operands<T>& in, std::int64_t n, bool accumulate, T* out) {
  if (accumulate) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] += in.template gradient<kMask>(i, 0);
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = in.template gradient<kMask>(i, 0);
  }
}

// Adds g and g * d of kGroup wide rows to the sums of each lane.
template <Mask kMask, int kRows, class T>
void add_sums(const Operands<T>& in, std::int64_t width, const T* mean, std::int64_t n, T* g_sum,
              T* gd_sum) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    T sum = 0, dot = 0;
    for (int k = 0; k < kRows; ++k) {
      const T g = in.template gradient<kMask>(i, k * width);
      sum += g;
      dot += g * (in.x[i + k * width] - mean[i]);
    }
    g_sum[i] += sum;
    gd_sum[i] += dot;
  }
}

// Sums of g and g * d over rows [begin, end), which lie within one block, added to sum and dot.
template <Mask kMask, class T>
void block_sums(const BatchNormBackward& op, const WideRows& wide, const LaneTile& tile,
                const Operands<T>& all, std::int64_t begin, std::int64_t end, double* sum,
                double* dot) {
  T mean[kMaxLanes], g_sum[kMaxLanes] = {}, gd_sum[kMaxLanes] = {};
  tile.spread(static_cast<const T*>(op.mean) + tile.channel, mean);
  T* d_residual = static_cast<T*>(op.d_residual);
  wide.for_each_piece(begin, end, tile, [&](std::int64_t at, std::int64_t n, auto group) {
    const Operands<T> in = all.at(at, tile.lane);
    add_sums<kMask, group()>(in, wide.width, mean, n, g_sum, gd_sum);
    for (int k = 0; k < group && d_residual != nullptr; ++k) {
      const std::int64_t row = at + k * wide.width;
      give_residual<kMask>(all.at(row, tile.lane), n, op.accumulate_residual, d_residual + row);
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
void sums(const BatchNormBackward& op, const NormScratch<T>& scratch, const Source<T>& source) {
  const WideRows& wide = scratch.wide;
  parallel_for(wide.chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      double* part = scratch.chunk(i);
      std::fill_n(part, 2 * wide.channels, 0.0);
      wide.for_each_tile([&](const LaneTile& tile) {
        const std::int64_t end = wide.chunk_begin(i + 1);
        for (std::int64_t row = wide.chunk_begin(i); row < end; row += wide.block_rows) {
          with_mask(source.mask, [&](auto mask) {
            block_sums<mask()>(op, wide, tile, source.all, row,
                               std::min(end, row + wide.block_rows), part + tile.channel,
                               part + wide.channels + tile.channel);
          });
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

// dx (+)= gain * g - (x * slope + level), slope and level lane rows.
template <Mask kMask, class T>
void write_run(const Operands<T>& in, const T* slope, const T* level, std::int64_t n,
               bool accumulate, T* dx) {
  if (accumulate) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] += in.gain[i] * in.template gradient<kMask>(i, 0) - (in.x[i] * slope[i] + level[i]);
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] = in.gain[i] * in.template gradient<kMask>(i, 0) - (in.x[i] * slope[i] + level[i]);
    }
  }
}

template <class T>
void input_gradient(const BatchNormBackward& op, const WideRows& wide, const Source<T>& source,
                    const T* slope, const T* level) {
  T* dx = static_cast<T*>(op.dx);
  parallel_for(op.rows, wide.grain(kGrainElements), [&](std::int64_t begin, std::int64_t end) {
    with_mask(source.mask, [&](auto mask) {
      wide.for_each_run(begin, end, [&](std::int64_t at, std::int64_t lane, std::int64_t n) {
        write_run<mask()>(source.all.at(at, lane), slope + lane, level + lane, n, op.accumulate,
                          dx + at);
      });
    });
  });
}

// Sums of all ranks' rows into `total`; gives their number.
double sums_over_ranks(const BatchNormBackward& op, double* total) {
  std::fill_n(total, 2 * op.channels, 0.0);
  double rows = 0;
  for (std::int64_t r = 0; r < op.sums.ranks; ++r) {
    const double* const of_rank = op.sums.each + 2 * r * op.channels;
    for (std::int64_t c = 0; c < 2 * op.channels; ++c) total[c] += of_rank[c];
    rows += op.moments.each[r * (1 + 2 * op.channels)];
  }
  return rows;
}

template <class T>
void backward(const BatchNormBackward& op, void* workspace) {
  const WideRows wide = wide_rows(op.rows, op.channels);
  const NormScratch<T> scratch(wide, workspace);
  const Affine<T> affine{op.scale, op.bias, op.mean, op.rstd};
  const T* gain = scratch.fill(0, [&](std::int64_t c) { return affine.gain(c); });
  const T* offset = scratch.fill(1, [&](std::int64_t c) { return affine.offset(c); });
  Source<T> source{{static_cast<const T*>(op.dy), static_cast<const T*>(op.x),
                    static_cast<const T*>(op.y), gain, offset},
                   Mask::none};
  if (op.relu) source.mask = op.y != nullptr ? Mask::output : Mask::computed;
  const bool over_ranks = op.sums.each != nullptr;
  if (!over_ranks || op.d_residual != nullptr) sums(op, scratch, source);
  double rows = static_cast<double>(op.rows);
  if (over_ranks) rows = sums_over_ranks(op, scratch.total());

  const double *sum = scratch.total(), *dot = sum + op.channels;
  if (op.sums.own != nullptr) std::copy_n(sum, 2 * op.channels, op.sums.own);
  const T *mean = static_cast<const T*>(op.mean), *rstd = static_cast<const T*>(op.rstd);
  for (std::int64_t c = 0; c < op.channels; ++c) {
    put<T>(op.d_scale, c, dot[c] * static_cast<double>(rstd[c]), op.accumulate_scale);
    put<T>(op.d_bias, c, sum[c], op.accumulate_bias);
  }
  if (op.dx == nullptr || op.rows == 0) return;
  if (op.d_residual != nullptr && !op.accumulate_residual) {
    source.all.dy = static_cast<const T*>(op.d_residual);
    source.mask = Mask::none;
  }
  // Inference: mean and rstd do not depend on x.
  const double per_row = op.training ? 1 / rows : 0;
  const auto slope = [&](std::int64_t c) {
    const double r = static_cast<double>(rstd[c]);
    return affine.gain(c) * r * r * dot[c] * per_row;
  };
  const auto level = [&](std::int64_t c) {
    return affine.gain(c) * sum[c] * per_row - static_cast<double>(mean[c]) * slope(c);
  };
  input_gradient(op, wide, source, scratch.fill(2, slope), scratch.fill(3, level));
}

}  // namespace

Plan plan(const BatchNormBackward& op, const Device&) {
  result_dtype("batch_norm", "grad_dtype", op.dtype, op.grad_dtype);
  const WideRows wide = wide_rows(op.rows, op.channels);
  return with_float(op.dtype, [&]<class T>(Type<T>) {
    return Plan{.variant = "wide_rows", .workspace_bytes = NormScratch<T>::bytes(wide, 4)};
  });
}

void run(const BatchNormBackward& op, const Plan&, void* workspace, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { backward<T>(op, workspace); });
}

}  // namespace convoy::on_cpu
