// SPDX-License-Identifier: MIT
#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/support/compare.h"
#include "tests/support/reference/gemm.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::expect_close;
using testing::random_values;
using testing::sum_bound;
using testing::to_double;

struct Sizes {
  std::int64_t M, N, K;
};
constexpr Sizes kSizes[] = {{1, 1, 1},    {1, 10, 84},  {7, 5, 3},      {0, 4, 3},
                            {4, 0, 3},    {3, 4, 0},    {31, 33, 17},   {64, 48, 96},
                            {129, 1, 65}, {65, 127, 1}, {128, 84, 120}, {200, 100, 300},
                            {13, 257, 66}};

template <class T>
constexpr DType dtype_of = sizeof(T) == 4 ? DType::f32 : DType::f64;

template <class T>
class GemmTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(GemmTest, Types);

// A residual like the result, and a ReLU behind it.
struct Behind {
  bool residual = false, relu = false;
};

// All transposes, with and without bias, accumulate and what is behind; leading dimensions wider
// than the rows, whose gaps hold NaN in a, b and the residual and must come back untouched in c.
template <class T>
void check(const Sizes& s, bool transpose_a, bool transpose_b, bool bias, bool accumulate,
           Behind behind) {
  const std::int64_t a_rows = transpose_a ? s.K : s.M, a_columns = transpose_a ? s.M : s.K;
  const std::int64_t b_rows = transpose_b ? s.N : s.K, b_columns = transpose_b ? s.K : s.N;
  const std::int64_t lda = a_columns + 3, ldb = b_columns + 1, ldc = s.N + 2;
  auto a = random_values<T>(a_rows * lda, 1), b = random_values<T>(b_rows * ldb, 2);
  const auto biases = random_values<T>(s.N, 3);
  auto c = random_values<T>(s.M * ldc, 4), residual = random_values<T>(s.M * ldc, 5);
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const auto poison_gap = [&](std::vector<T>& v, std::int64_t columns, std::int64_t ld) {
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(v.size()); ++i) {
      if (i % ld >= columns) v[static_cast<std::size_t>(i)] = nan;
    }
  };
  auto want = reference::gemm(s.M, s.N, s.K, to_double(a), transpose_a, lda, to_double(b),
                              transpose_b, ldb);
  poison_gap(a, a_columns, lda);
  poison_gap(b, b_columns, ldb);
  poison_gap(residual, s.N, ldc);
  const auto before = c;
  if (!accumulate) std::fill(c.begin(), c.end(), nan);
  Gemm op = dense_gemm(s.M, s.N, s.K, a.data(), transpose_a, b.data(), transpose_b, c.data(),
                       dtype_of<T>);
  op.lda = lda, op.ldb = ldb, op.ldc = ldc, op.accumulate = accumulate;
  op.epilogue = {.bias = bias ? biases.data() : nullptr,
                 .residual = behind.residual ? residual.data() : nullptr,
                 .activation = behind.relu ? Activation::relu : Activation::none};
  testing::run_kernel(op);
  std::vector<T> found;
  for (std::int64_t i = 0; i < s.M * ldc; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (i % ldc >= s.N) {
      ASSERT_TRUE(accumulate ? c[at] == before[at] : std::isnan(c[at])) << "wrote between rows";
      continue;
    }
    const std::size_t j = found.size();
    if (bias) want[j] += biases[static_cast<std::size_t>(i % ldc)];
    if (accumulate) want[j] += before[at];
    if (behind.residual) want[j] += residual[at];
    if (behind.relu) want[j] = std::max(want[j], 0.0);
    found.push_back(c[at]);
  }
  expect_close(found, want, sum_bound(static_cast<double>(s.K) + 3),
               fmt::format("M={} N={} K={} {}{} bias={} accumulate={} residual={} relu={}", s.M,
                           s.N, s.K, transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', bias,
                           accumulate, behind.residual, behind.relu));
}

TYPED_TEST(GemmTest, AgreesWithTheDefinition) {
  for (const Sizes& s : kSizes) {
    for (int flags = 0; flags < 64; ++flags) {
      check<TypeParam>(s, flags & 1, flags & 2, flags & 4, flags & 8,
                       {(flags & 16) != 0, (flags & 32) != 0});
    }
  }
}

TYPED_TEST(GemmTest, BatchesStepByTheirStrides) {
  using T = TypeParam;
  for (const Sizes& s : {Sizes{3, 5, 7}, Sizes{40, 33, 29}}) {
    const std::int64_t batch = 4, step_a = s.M * s.K + 5, step_c = s.M * s.N + 3;
    const auto a = random_values<T>(batch * step_a, 1), b = random_values<T>(s.K * s.N, 2);
    std::vector<T> c(static_cast<std::size_t>(batch * step_c));
    Gemm op = dense_gemm(s.M, s.N, s.K, a.data(), false, b.data(), false, c.data(), dtype_of<T>);
    op.batch = batch, op.stride_a = step_a, op.stride_c = step_c;  // stride_b = 0: b is shared
    testing::run_kernel(op);
    for (std::int64_t i = 0; i < batch; ++i) {
      const std::vector<T> ai(a.begin() + i * step_a, a.begin() + i * step_a + s.M * s.K);
      const std::vector<T> ci(c.begin() + i * step_c, c.begin() + i * step_c + s.M * s.N);
      expect_close(
          ci, reference::gemm(s.M, s.N, s.K, to_double(ai), false, s.K, to_double(b), false, s.N),
          sum_bound(static_cast<double>(s.K)), "batch");
    }
  }
}

// In batches too: all transposes, with and without bias and accumulate.
template <class T>
void check_batch(const Sizes& s, bool transpose_a, bool transpose_b, bool bias, bool accumulate) {
  constexpr std::int64_t kBatch = 3;
  const std::int64_t step_a = s.M * s.K + 5, step_b = s.K * s.N + 2, step_c = s.M * s.N + 3;
  const auto a = random_values<T>(kBatch * step_a, 1), b = random_values<T>(kBatch * step_b, 2);
  const auto biases = random_values<T>(s.N, 3), before = random_values<T>(kBatch * step_c, 4);
  const auto residual = random_values<T>(kBatch * step_c, 5);
  std::vector<T> c = before;
  if (!accumulate) std::fill(c.begin(), c.end(), std::numeric_limits<T>::quiet_NaN());
  Gemm op = dense_gemm(s.M, s.N, s.K, a.data(), transpose_a, b.data(), transpose_b, c.data(),
                       dtype_of<T>);
  op.batch = kBatch, op.stride_a = step_a, op.stride_b = step_b, op.stride_c = step_c;
  op.epilogue = {.bias = bias ? biases.data() : nullptr,
                 .residual = residual.data(),
                 .activation = Activation::relu};
  op.accumulate = accumulate;
  testing::run_kernel(op);
  for (std::int64_t i = 0; i < kBatch; ++i) {
    const std::vector<T> ai(a.begin() + i * step_a, a.begin() + i * step_a + s.M * s.K);
    const std::vector<T> bi(b.begin() + i * step_b, b.begin() + i * step_b + s.K * s.N);
    auto want = reference::gemm(s.M, s.N, s.K, to_double(ai), transpose_a, op.lda, to_double(bi),
                                transpose_b, op.ldb);
    for (std::size_t j = 0; j < want.size(); ++j) {
      if (bias) want[j] += biases[j % static_cast<std::size_t>(s.N)];
      const std::size_t at = static_cast<std::size_t>(i * step_c) + j;
      if (accumulate) want[j] += before[at];
      want[j] = std::max(want[j] + residual[at], 0.0);
    }
    const std::vector<T> ci(c.begin() + i * step_c, c.begin() + i * step_c + s.M * s.N);
    expect_close(ci, want, sum_bound(static_cast<double>(s.K) + 3),
                 fmt::format("product {} {}{} bias={} accumulate={}", i, transpose_a ? 'T' : 'N',
                             transpose_b ? 'T' : 'N', bias, accumulate));
  }
}

TYPED_TEST(GemmTest, BatchesTakeTransposesBiasAndAccumulate) {
  for (const Sizes& s : {Sizes{3, 5, 7}, Sizes{40, 33, 29}}) {
    for (int flags = 0; flags < 16; ++flags) {
      check_batch<TypeParam>(s, flags & 1, flags & 2, flags & 4, flags & 8);
    }
  }
}

TEST(GemmKernel, OtherDtypesAndStatisticsAreRefused) {
  Gemm op = dense_gemm(1, 1, 1, nullptr, false, nullptr, false, nullptr, DType::i32);
  EXPECT_THROW(plan(op, Device{}), Error);
  float mean = 0;
  op.dtype = DType::f32, op.epilogue.statistics.mean = &mean;
  EXPECT_THROW(plan(op, Device{}), Error);
}

}  // namespace
}  // namespace convoy
