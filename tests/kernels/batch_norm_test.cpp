// SPDX-License-Identifier: MIT
#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/batch_norm.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  std::int64_t rows, channels;
  bool affine = true, residual = false, relu = false, training = true;
  double shift = 0;  // added to x
};

// Ragged rows and channels around the width of a vector, of a joined row, of a tile and of a chunk.
const Case kCases[] = {
    {2, 1},
    {3, 5},
    {7, 3, false},
    {31, 16, true, true, true},
    {129, 16, true, false, true},
    {1000, 17, true, true, false},
    {257, 64, true, true, true},
    {66, 511, true, false, true},
    {65, 513, true, true, true},
    {9, 1031, true, true, true},
    {5003, 8, true, true, true},
    {20011, 3, true, false, false, true, 100},
    {2, 7, true, true, true, false},
    {1, 7, true, true, true, false},
    {301, 19, true, false, true, false},
    {301, 19, false, true, false, false},
};

template <class T>
struct Problem {
  explicit Problem(const Case& c)
      : n(c.rows * c.channels),
        x(random_values<T>(n, 1)),
        residual(random_values<T>(n, 2)),
        scale(random_values<T>(c.channels, 3)),
        bias(random_values<T>(c.channels, 4)),
        running_mean(random_values<T>(c.channels, 5)),
        running_var(random_values<T>(c.channels, 6)),
        mean(c.channels),
        rstd(c.channels),
        y(n),
        dy(random_values<T>(n, 7)) {
    for (T& v : x) v = static_cast<T>(v + c.shift);
    for (T& v : running_var) v = static_cast<T>(v + 1.5);
    ref = {c.rows, c.channels, to_double(x), {}, {}, {}, {}, {}, 1e-5, c.relu};
    if (c.residual) ref.residual = to_double(residual);
    if (c.affine) ref.scale = to_double(scale), ref.bias = to_double(bias);
    ref.mean = to_double(running_mean), ref.var = to_double(running_var);
    if (c.training) ref.take_batch_statistics();
    forward = {.rows = c.rows,
               .channels = c.channels,
               .x = x.data(),
               .residual = c.residual ? residual.data() : nullptr,
               .scale = c.affine ? scale.data() : nullptr,
               .bias = c.affine ? bias.data() : nullptr,
               .running_mean = running_mean.data(),
               .running_var = running_var.data(),
               .mean = mean.data(),
               .rstd = rstd.data(),
               .y = y.data(),
               .training = c.training,
               .relu = c.relu,
               .dtype = dtype_of<T>};
    largest_gain = 0;
    for (std::int64_t i = 0; i < c.channels; ++i) {
      const double s = c.affine ? std::abs(ref.scale[i]) : 1;
      largest_gain = std::max(largest_gain, s / std::sqrt(ref.var[i] + 1e-5));
    }
  }
  // Backward of the forward above, overwriting all four gradients.
  BatchNormBackward backward(const Case& c) {
    return {.rows = c.rows,
            .channels = c.channels,
            .x = x.data(),
            .y = c.residual ? y.data() : nullptr,
            .dy = dy.data(),
            .scale = forward.scale,
            .bias = forward.bias,
            .mean = mean.data(),
            .rstd = rstd.data(),
            .dx = dx.data(),
            .d_residual = d_residual.data(),
            .d_scale = d_scale.data(),
            .d_bias = d_bias.data(),
            .training = c.training,
            .relu = c.relu,
            .dtype = dtype_of<T>};
  }

  std::int64_t n;
  std::vector<T> x, residual, scale, bias, running_mean, running_var, mean, rstd, y, dy;
  std::vector<T> dx = std::vector<T>(x.size(), NAN), d_residual = dx;
  std::vector<T> d_scale = std::vector<T>(scale.size(), NAN), d_bias = d_scale;
  reference::BatchNorm ref;
  BatchNormForward forward;
  double largest_gain;
};

template <class T>
class BatchNorm : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BatchNorm, Dtypes);

TYPED_TEST(BatchNorm, ForwardMatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} x {}", c.rows, c.channels));
    Problem<TypeParam> p(c);
    const std::vector<double> old_mean = to_double(p.running_mean),
                              old_var = to_double(p.running_var);
    run_kernel(p.forward);
    const double rows = static_cast<double>(c.rows), term = (1 + c.shift) * p.largest_gain + 2;
    expect_close(p.y, p.ref.forward(), {.k = 1, .scale = term}, "y");
    expect_close(p.mean, p.ref.mean, {.k = 1, .scale = 1 + c.shift}, "mean");

    std::vector<double> rstd, mean_after = old_mean, var_after = old_var;
    for (std::int64_t i = 0; i < c.channels; ++i) {
      rstd.push_back(1 / std::sqrt(p.ref.var[i] + 1e-5));
      if (!c.training) continue;
      mean_after[i] = 0.9 * old_mean[i] + 0.1 * p.ref.mean[i];
      var_after[i] = 0.9 * old_var[i] + 0.1 * p.ref.var[i] * rows / (rows - 1);
    }
    expect_close(p.rstd, rstd, {.k = 1, .scale = p.largest_gain + 1}, "rstd");
    expect_close(p.running_mean, mean_after, {.k = 1, .scale = 1}, "running mean");
    expect_close(p.running_var, var_after, {.k = 1, .scale = 1}, "running var");
  }
}

TYPED_TEST(BatchNorm, BackwardMatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} x {}", c.rows, c.channels));
    Problem<TypeParam> p(c);
    run_kernel(p.forward);
    run_kernel(p.backward(c));
    const auto d = p.ref.backward(to_double(p.dy), c.training);
    // Normalised values, and how far the rounding of mean moves them.
    const double rows = static_cast<double>(c.rows), size = 3 + c.shift;
    expect_close(p.dx, d.x, {.k = 1, .scale = p.largest_gain * 4 * size, .factor = 8}, "dx");
    expect_close(p.d_residual, d.residual, {.k = 1, .scale = 0}, "d_residual");
    expect_close(p.d_scale, d.scale, {.k = rows, .scale = size, .factor = 8}, "d_scale");
    expect_close(p.d_bias, d.bias, {.k = rows, .scale = 1}, "d_bias");
  }
}

// Adding to what is there must equal overwriting and then adding, for each destination.
TYPED_TEST(BatchNorm, AccumulatesIntoEachGradient) {
  const Case c{129, 16, true, true, true};
  Problem<TypeParam> p(c);
  run_kernel(p.forward);
  run_kernel(p.backward(c));
  auto dx = p.dx, d_residual = p.d_residual, d_scale = p.d_scale, d_bias = p.d_bias;
  BatchNormBackward op = p.backward(c);
  op.accumulate = op.accumulate_residual = op.accumulate_scale = op.accumulate_bias = true;
  run_kernel(op);
  const auto twice = [](std::vector<TypeParam> v) {
    for (auto& e : v) e *= 2;
    return to_double(v);
  };
  expect_close(p.dx, twice(dx), {.k = 1, .scale = 1}, "dx");
  expect_close(p.d_residual, twice(d_residual), {.k = 1, .scale = 0}, "d_residual");
  expect_close(p.d_scale, twice(d_scale), {.k = 1, .scale = 1}, "d_scale");
  expect_close(p.d_bias, twice(d_bias), {.k = 1, .scale = 1}, "d_bias");
}

// The mask recomputed from x is the one that y shows, also at outputs next to zero.
TYPED_TEST(BatchNorm, RecomputedMaskEqualsSavedOne) {
  const Case c{4001, 24, true, false, true};
  Problem<TypeParam> p(c);
  run_kernel(p.forward);
  BatchNormBackward op = p.backward(c);
  run_kernel(op);
  const auto recomputed = p.d_residual;
  op.y = p.y.data();
  run_kernel(op);
  EXPECT_EQ(recomputed, p.d_residual);
}

// A NaN is not above 0, and not held at 0 either: its gradient passes, as through relu.
TYPED_TEST(BatchNorm, ANaNHidesNoGradient) {
  const Case c{7, 5, true, false, true, false};
  Problem<TypeParam> p(c);
  for (const std::size_t i : {3, 17}) p.x[i] = NAN;
  run_kernel(p.forward);
  for (const bool again : {false, true}) {
    BatchNormBackward op = p.backward(c);
    op.y = again ? nullptr : p.y.data();
    run_kernel(op);
    for (const std::size_t i : {3, 17}) EXPECT_EQ(p.d_residual[i], p.dy[i]);
  }
}

TYPED_TEST(BatchNorm, VarianceSurvivesLargeMeanAndOutliers) {
  const std::int64_t rows = 30000, channels = 2;
  std::vector<TypeParam> x = random_values<TypeParam>(rows * channels, 11);
  for (std::int64_t r = 0; r < rows; ++r) x[r * channels] += 4096;  // keeps 11 bits of fraction
  x[1] = 30000;                                                     // the very first value
  reference::BatchNorm ref{rows, channels, to_double(x), {}, {}, {}, {}, {}, 1e-5, false};
  ref.take_batch_statistics();
  std::vector<TypeParam> mean(channels), rstd(channels), y(x.size());
  run_kernel(BatchNormForward{.rows = rows,
                              .channels = channels,
                              .x = x.data(),
                              .mean = mean.data(),
                              .rstd = rstd.data(),
                              .y = y.data(),
                              .dtype = dtype_of<TypeParam>});
  for (std::int64_t c = 0; c < channels; ++c) {
    const double expected = 1 / std::sqrt(ref.var[c] + 1e-5);
    EXPECT_NEAR(rstd[c], expected, expected * 64 * std::numeric_limits<TypeParam>::epsilon());
  }
}

TYPED_TEST(BatchNorm, EmptyBatchGivesZeroGradients) {
  std::vector<TypeParam> mean(3, NAN), rstd(3, NAN), d_scale(3, NAN), d_bias(3, NAN);
  run_kernel(BatchNormForward{.rows = 0,
                              .channels = 3,
                              .mean = mean.data(),
                              .rstd = rstd.data(),
                              .dtype = dtype_of<TypeParam>});
  run_kernel(BatchNormBackward{.rows = 0,
                               .channels = 3,
                               .mean = mean.data(),
                               .rstd = rstd.data(),
                               .d_scale = d_scale.data(),
                               .d_bias = d_bias.data(),
                               .relu = true,
                               .dtype = dtype_of<TypeParam>});
  EXPECT_EQ(d_scale, std::vector<TypeParam>(3));
  EXPECT_EQ(d_bias, std::vector<TypeParam>(3));
}

TEST(BatchNormErrors, OneRowInTrainingAndMissingStatistics) {
  float x[3] = {}, y[3] = {};
  BatchNormForward op{.rows = 1, .channels = 3, .x = x, .mean = y, .rstd = y, .y = y};
  EXPECT_THROW(run_kernel(op), Error);
  op.training = false;
  EXPECT_THROW(run_kernel(op), Error);
  op.dtype = DType::f16;
  EXPECT_THROW(run_kernel(op), Error);
}

}  // namespace
}  // namespace convoy
