// SPDX-License-Identifier: MIT
#include "kernels/reduce.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth waking a thread for
constexpr std::int64_t kTile = 512;     // outputs that are summed side by side
constexpr std::int64_t kShortRow = 64;
constexpr std::int64_t kBlock = 256;  // terms that are added up before they join the total

using Offsets = std::array<std::int64_t, 2>;

// The loop over outputs and the loop over the terms of one output; operand 0 is x, 1 the factor.
struct Problem {
  StridedLoop<2> kept, reduced;
  std::int64_t outputs, terms;
};

Problem split(const Shape& shape, std::uint32_t axes, const Strides& x, const Strides& factor) {
  const Shape kept = kept_extents(shape, axes), reduced = reduced_extents(shape, axes);
  return {merge_dims<2>(kept, {kept_extents(x, axes), kept_extents(factor, axes)}),
          merge_dims<2>(reduced, {reduced_extents(x, axes), reduced_extents(factor, axes)}),
          kept.count(), reduced.count()};
}

// Sum of n terms in eight lanes, block by block.
template <bool with_factor, class T>
double sum_run(const T* x, std::int64_t x_stride, const T* f, std::int64_t f_stride,
               std::int64_t n) {
  const auto term = [&](std::int64_t i) {
    const double value = x[i * x_stride];
    if constexpr (with_factor) return value * static_cast<double>(f[i * f_stride]);
    return value;
  };
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += 8 * kBlock) {
    const std::int64_t end = std::min(n, begin + 8 * kBlock), whole = end - (end - begin) % 8;
    double lane[8] = {};
    for (std::int64_t i = begin; i < whole; i += 8) {
      for (int j = 0; j < 8; ++j) lane[j] += term(i + j);
    }
    for (std::int64_t i = whole; i < end; ++i) lane[i - whole] += term(i);
    total +=
        ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }
  return total;
}

// Terms of one output lie side by side, or nothing does: output by output.
template <bool with_factor, class T, class Sink>
void sum_rows(const Problem& p, const T* x, const T* f, std::int64_t k0, std::int64_t k1,
              std::int64_t r0, std::int64_t r1, Sink sink) {
  const Offsets step = {p.kept.stride[0][0], p.kept.stride[1][0]};
  const std::int64_t xs = p.reduced.stride[0][0], fs = p.reduced.stride[1][0];
  for_each_run(p.kept, k0, k1, [&](const Offsets& out, std::int64_t first, std::int64_t outputs) {
    for (std::int64_t i = 0; i < outputs; ++i) {
      const T* const xi = x + out[0] + i * step[0];
      const T* const fi = f + out[1] + i * step[1];
      double total = 0;
      for_each_run(p.reduced, r0, r1, [&](const Offsets& at, std::int64_t, std::int64_t n) {
        total += xs == 1 && fs <= 1 ? sum_run<with_factor>(xi + at[0], 1, fi + at[1], fs, n)
                                    : sum_run<with_factor>(xi + at[0], xs, fi + at[1], fs, n);
      });
      sink(first + i, total);
    }
  });
}

// sum[j] += the terms of `rows` rows, n columns wide. Four short rows at a time share a load of the
// sum; long ones are read one after the other, because prefetchers lose track of several streams in
// one page. `is_short` speaks of the whole row: n depends on how threads share it out, and the
// order of the sum must not.
template <bool with_factor, class T>
void add_rows(const T* x, std::int64_t x_row, const T* f, std::int64_t f_row, std::int64_t f_column,
              std::int64_t rows, bool is_short, double* sum, std::int64_t n) {
  const auto term = [&](std::int64_t row, std::int64_t j) {
    const double value = x[row * x_row + j];
    if constexpr (with_factor) return value * static_cast<double>(f[row * f_row + j * f_column]);
    return value;
  };
  const std::int64_t fours = is_short ? rows - rows % 4 : 0;
  for (std::int64_t r = 0; r < fours; r += 4) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      sum[j] += (term(r, j) + term(r + 1, j)) + (term(r + 2, j) + term(r + 3, j));
    }
  }
  for (std::int64_t r = fours; r < rows; ++r) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) sum[j] += term(r, j);
  }
}

// Outputs lie side by side: a tile of them is summed row by row.
template <bool with_factor, class T, class Sink>
void sum_columns(const Problem& p, const T* x, const T* f, std::int64_t k0, std::int64_t k1,
                 std::int64_t r0, std::int64_t r1, Sink sink) {
  const std::int64_t f_column = p.kept.stride[1][0];
  const std::int64_t x_row = p.reduced.stride[0][0], f_row = p.reduced.stride[1][0];
  const bool is_short = p.kept.extent[0] <= kShortRow;
  const auto tile = [&](const T* xt, const T* ft, std::int64_t first, std::int64_t n) {
    double total[kTile] = {};
    for_each_run(p.reduced, r0, r1, [&](const Offsets& at, std::int64_t, std::int64_t rows) {
      for (std::int64_t r = 0; r < rows; r += kBlock) {
        double block[kTile] = {};
        const T* const xr = xt + at[0] + r * x_row;
        const T* const fr = ft + at[1] + r * f_row;
        const std::int64_t part = std::min(kBlock, rows - r);
        f_column == 1
            ? add_rows<with_factor>(xr, x_row, fr, f_row, 1, part, is_short, block, n)
            : add_rows<with_factor>(xr, x_row, fr, f_row, f_column, part, is_short, block, n);
        for (std::int64_t j = 0; j < n; ++j) total[j] += block[j];
      }
    });
    for (std::int64_t j = 0; j < n; ++j) sink(first + j, total[j]);
  };
  for_each_run(p.kept, k0, k1, [&](const Offsets& out, std::int64_t first, std::int64_t outputs) {
    for (std::int64_t j = 0; j < outputs; j += kTile) {
      tile(x + out[0] + j, f + out[1] + j * f_column, first + j, std::min(kTile, outputs - j));
    }
  });
}

template <class T, class Sink>
void sum_part(const ReduceSum& op, const Problem& p, std::int64_t k0, std::int64_t k1,
              std::int64_t r0, std::int64_t r1, Sink sink) {
  const T* const x = static_cast<const T*>(op.x);
  const T* const f = op.factor ? static_cast<const T*>(op.factor) : x;
  const bool columns = p.kept.stride[0][0] == 1 && p.kept.extent[0] > 1 &&
                       (p.reduced.stride[0][0] != 1 || p.reduced.extent[0] == 1);
  if (columns) {
    op.factor ? sum_columns<true>(p, x, f, k0, k1, r0, r1, sink)
              : sum_columns<false>(p, x, f, k0, k1, r0, r1, sink);
  } else {
    op.factor ? sum_rows<true>(p, x, f, k0, k1, r0, r1, sink)
              : sum_rows<false>(p, x, f, k0, k1, r0, r1, sink);
  }
}

// Into how many parts the terms are cut where the outputs alone would not keep threads busy.
std::int64_t parts_of(std::int64_t outputs, std::int64_t terms) {
  if (outputs == 0 || outputs * terms < 2 * kGrain) return 1;
  const std::int64_t by_work = outputs * terms / kGrain, by_terms = terms / 64;
  return std::clamp<std::int64_t>(std::min({by_work, by_terms, kGrain / outputs}), 1, 64);
}

template <class T>
void sum_typed(const ReduceSum& op, double* partial) {
  T* const y = static_cast<T*>(op.y);
  const auto put = [&](std::int64_t k, double total) {
    const T value = static_cast<T>(total * op.scale);
    y[k] = op.accumulate ? y[k] + value : value;
  };
  const Strides& factor_strides = op.factor ? op.factor_strides : op.x_strides;
  const Problem p = split(op.shape, op.axes, op.x_strides, factor_strides);
  const std::int64_t parts = parts_of(p.outputs, p.terms);
  if (parts == 1) {
    const std::int64_t grain =
        std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(p.terms, 1));
    return parallel_for(p.outputs, grain, [&](std::int64_t begin, std::int64_t end) {
      sum_part<T>(op, p, begin, end, 0, p.terms, put);
    });
  }
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      double* const row = partial + part * p.outputs;
      sum_part<T>(op, p, 0, p.outputs, p.terms * part / parts, p.terms * (part + 1) / parts,
                  [row](std::int64_t k, double total) { row[k] = total; });
    }
  });
  for (std::int64_t k = 0; k < p.outputs; ++k) {
    double total = 0;
    for (std::int64_t part = 0; part < parts; ++part) total += partial[part * p.outputs + k];
    put(k, total);
  }
}

template <class T>
void max_typed(const ReduceMax& op) {
  constexpr std::int64_t kWide = 64;  // outputs that are searched side by side
  const Problem p = split(op.shape, op.axes, op.x_strides, op.x_strides);
  const std::int64_t step = p.kept.stride[0][0], row = p.reduced.stride[0][0];
  const auto tile = [&](const T* x, std::int64_t first, std::int64_t n) {
    T best[kWide] = {};
    std::int64_t where[kWide] = {};
    for (std::int64_t j = 0; j < n; ++j) best[j] = x[j * step];
    for_each_run(p.reduced, 0, p.terms, [&](const Offsets& at, std::int64_t r0, std::int64_t rows) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* const xr = x + at[0] + r * row;
        for (std::int64_t j = 0; j < n; ++j) {
          const T value = xr[j * step];
          const bool better = value > best[j] || (value != value && best[j] == best[j]);
          best[j] = better ? value : best[j];
          where[j] = better ? r0 + r : where[j];
        }
      }
    });
    for (std::int64_t j = 0; j < n; ++j) {
      // A first element that is NaN was never beaten, and stands at position 0.
      if (op.y) static_cast<T*>(op.y)[first + j] = best[j];
      if (op.index) op.index[first + j] = where[j];
    }
  };
  const std::int64_t grain = std::max<std::int64_t>(kWide, kGrain / p.terms);
  parallel_for(p.outputs, grain, [&](std::int64_t begin, std::int64_t end) {
    for_each_run(p.kept, begin, end, [&](const Offsets& out, std::int64_t first, std::int64_t n) {
      for (std::int64_t j = 0; j < n; j += kWide) {
        tile(static_cast<const T*>(op.x) + out[0] + j * step, first + j, std::min(kWide, n - j));
      }
    });
  });
}

// Offset of element `index` (row-major) of a loop.
std::int64_t offset_of(const StridedLoop<2>& loop, std::int64_t index) {
  std::int64_t offset = 0;
  for (int d = 0; d < loop.rank; ++d) {
    offset += index % loop.extent[d] * loop.stride[0][d];
    index /= loop.extent[d];
  }
  return offset;
}

template <class T>
void max_backward_typed(const ReduceMaxBackward& op) {
  T* const dx = static_cast<T*>(op.dx);
  const T* const dy = static_cast<const T*>(op.dy);
  if (!op.accumulate) std::fill_n(dx, op.shape.count(), T(0));
  const Strides dense = contiguous_strides(op.shape);
  const Problem p = split(op.shape, op.axes, dense, dense);
  parallel_for(p.outputs, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for_each_run(p.kept, begin, end, [&](const Offsets& out, std::int64_t first, std::int64_t n) {
      for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t chosen = offset_of(p.reduced, op.index[first + j]);
        dx[out[0] + j * p.kept.stride[0][0] + chosen] += dy[first + j];
      }
    });
  });
}

}  // namespace

Plan plan(const ReduceSum& op, const Device&) {
  result_dtype("sum", "out_dtype", op.dtype, op.out_dtype);
  const std::int64_t outputs = kept_extents(op.shape, op.axes).count();
  const std::int64_t terms = reduced_extents(op.shape, op.axes).count();
  const std::int64_t parts = parts_of(outputs, terms);
  if (parts == 1) return {};
  return {"parts", static_cast<std::size_t>(parts * outputs) * sizeof(double)};
}

void run(const ReduceSum& op, const Plan&, void* workspace, const Stream&) {
  with_float(op.dtype,
             [&]<class T>(Type<T>) { sum_typed<T>(op, static_cast<double*>(workspace)); });
}

Plan plan(const ReduceMax&, const Device&) { return {}; }

void run(const ReduceMax& op, const Plan&, void*, const Stream&) {
  require_choice(op);
  if (op.shape.count() == 0) return;
  with_float(op.dtype, [&]<class T>(Type<T>) { max_typed<T>(op); });
}

Plan plan(const ReduceMaxBackward&, const Device&) { return {}; }

void run(const ReduceMaxBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { max_backward_typed<T>(op); });
}

}  // namespace convoy::on_cpu
