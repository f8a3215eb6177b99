// SPDX-License-Identifier: MIT
#pragma once
// One product on one rung of gemm's ladder, compared with the reference.

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/gpu/variants.h"
#include "tests/support/gpu_case.h"
#include "tests/support/reference/gemm.h"

namespace convoy::testing {

struct Sizes {
  std::int64_t M, N, K;
};

// Rows of `columns` values and a gap of `gap` NaN behind each.
inline std::vector<double> with_gaps(std::vector<double> values, std::int64_t columns,
                                     std::int64_t gap) {
  const auto row = static_cast<std::size_t>(columns + gap);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % row >= static_cast<std::size_t>(columns)) values[i] = std::nan("");
  }
  return values;
}

// Elements that nobody may touch, behind each row.
struct Gaps {
  std::int64_t a = 3, b = 1, c = 2;
};

struct Flags {
  bool transpose_a, transpose_b, bias, accumulate, residual, relu;
};
constexpr Flags flags(int bits) {
  return {(bits & 1) != 0, (bits & 2) != 0,  (bits & 4) != 0,
          (bits & 8) != 0, (bits & 16) != 0, (bits & 32) != 0};
}

inline void run_rung(const Gemm& op, const char* rung) {
  const Plan plan = plan_variant(op, case_device(), rung);
  const DeviceArray workspace(DType::u8, static_cast<std::int64_t>(plan.workspace_bytes));
  run(op, plan, workspace.data(), Stream{case_device()});
}

// A batch of products whose rows and matrices have gaps: of NaN in a, b and the residual, where
// nothing may be read; in c, where nothing may be written. `run(op)` computes it.
template <class Run>
void check_product(const Sizes& s, DType dtype, std::int64_t batch, Flags f, Run run,
                   const char* rung, const Gaps& gaps = {}, std::optional<DType> out_dtype = {}) {
  const DType out = out_dtype.value_or(dtype);
  const std::int64_t a_rows = f.transpose_a ? s.K : s.M, a_columns = f.transpose_a ? s.M : s.K;
  const std::int64_t b_rows = f.transpose_b ? s.N : s.K, b_columns = f.transpose_b ? s.K : s.N;
  Gemm op{.M = s.M, .N = s.N, .K = s.K, .batch = batch};
  op.transpose_a = f.transpose_a, op.transpose_b = f.transpose_b, op.dtype = dtype;
  op.out_dtype = out_dtype;
  op.lda = a_columns + gaps.a, op.ldb = b_columns + gaps.b, op.ldc = s.N + gaps.c;
  op.stride_a = (a_rows + 1) * op.lda, op.stride_b = (b_rows + 2) * op.ldb;
  op.stride_c = (s.M + 1) * op.ldc;
  const auto a_values = random_doubles(dtype, batch * op.stride_a, 1);
  const auto b_values = random_doubles(dtype, batch * op.stride_b, 2);
  const auto biases = random_doubles(dtype, s.N, 3);
  const std::int64_t c_count = (batch + 1) * op.stride_c;  // one product's room too much
  const auto before = f.accumulate
                          ? random_doubles(out, c_count, 4)
                          : std::vector<double>(static_cast<std::size_t>(c_count), std::nan(""));
  const DeviceArray a(dtype, with_gaps(a_values, a_columns, gaps.a));
  const DeviceArray b(dtype, with_gaps(b_values, b_columns, gaps.b));
  const DeviceArray bias(dtype, biases), c(out, before);
  const auto added = random_doubles(out, batch * op.stride_c, 5);
  const DeviceArray residual(out, with_gaps(added, s.N, gaps.c));
  op.a = a.data(), op.b = b.data(), op.c = c.data();
  op.epilogue = {.bias = f.bias ? bias.data() : nullptr,
                 .residual = f.residual ? residual.data() : nullptr,
                 .activation = f.relu ? Activation::relu : Activation::none};
  op.accumulate = f.accumulate;
  run(op);

  std::vector<double> want = before;
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::vector<double> ai(a_values.begin() + i * op.stride_a, a_values.end());
    const std::vector<double> bi(b_values.begin() + i * op.stride_b, b_values.end());
    const auto product =
        reference::gemm(s.M, s.N, s.K, ai, f.transpose_a, op.lda, bi, f.transpose_b, op.ldb);
    for (std::int64_t j = 0; j < s.M * s.N; ++j) {
      const std::int64_t m = j / s.N, n = j % s.N;
      const auto at = static_cast<std::size_t>(i * op.stride_c + m * op.ldc + n);
      double& place = want[at];
      place = (f.accumulate ? place : 0) + product[static_cast<std::size_t>(j)] +
              (f.bias ? biases[static_cast<std::size_t>(n)] : 0) + (f.residual ? added[at] : 0);
      if (f.relu) place = std::max(place, 0.0);
    }
  }
  expect_close(
      c, want, sum_bound(static_cast<double>(s.K) + 3),
      fmt::format("{} M={} N={} K={} batch={} {}{} bias={} accumulate={} residual={} relu={}", rung,
                  s.M, s.N, s.K, batch, f.transpose_a ? 'T' : 'N', f.transpose_b ? 'T' : 'N',
                  f.bias, f.accumulate, f.residual, f.relu));
}

inline void check(const Sizes& s, DType dtype, std::int64_t batch, Flags f, const char* rung,
                  const Gaps& gaps = {}, std::optional<DType> out_dtype = {}) {
  check_product(
      s, dtype, batch, f, [&](const Gemm& op) { run_rung(op, rung); }, rung, gaps, out_dtype);
}

// On the rung wgmma. Rows of a and b begin at multiples of 16 bytes, with a gap behind each; those
// of c as well, or not.
enum class Rows { aligned, ragged };
inline void check_wgmma(const Sizes& s, DType dtype, std::int64_t batch, Flags f,
                        Rows of_c = Rows::aligned, std::optional<DType> out = {}) {
  const auto gap = [](std::int64_t columns) { return 16 - columns % 8; };
  const Gaps gaps{gap(f.transpose_a ? s.M : s.K), gap(f.transpose_b ? s.K : s.N),
                  gap(s.N) + (of_c == Rows::ragged)};
  check(s, dtype, batch, f, "wgmma", gaps, out);
}

}  // namespace convoy::testing
