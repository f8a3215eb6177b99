// SPDX-License-Identifier: MIT
#include "kernels/batch_norm.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/batch_norm.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t rows, channels;
  bool affine = true, residual = false, relu = false, training = true;
  double shift = 0;  // added to x
};
const Case kCases[] = {
    {2, 1},
    {31, 3, false},
    {129, 33, true, true, true},
    {300, 7, true, false, true, true, 8},
    {65, 32, true, true, false},
    {33, 5, true, false, true, false},
    {1, 70, false, true, true, false},
    {4, 0},
    {300, 24, true, true, true},
    {70, 320, true, false, true, true, 8},
};

struct Problem {
  Problem(const Case& c, DType type, std::optional<DType> grad_dtype = {})
      : Problem(c, type, random_doubles(type, c.rows * c.channels, 1, c.shift), grad_dtype) {}
  Problem(const Case& c, DType type, const std::vector<double>& values,
          std::optional<DType> grad_dtype = {})
      : dtype(type),
        x(type, values),
        residual(type, random_doubles(type, c.rows * c.channels, 2)),
        dy(type, random_doubles(type, c.rows * c.channels, 3)),
        scale(type, random_doubles(type, c.channels, 4)),
        bias(type, random_doubles(type, c.channels, 5)),
        running_mean(DType::f32, random_doubles(DType::f32, c.channels, 6)),
        running_var(DType::f32, random_doubles(DType::f32, c.channels, 7, 1.5)),
        mean(DType::f32, c.channels),
        rstd(DType::f32, c.channels),
        y(type, c.rows * c.channels),
        dx(type, c.rows * c.channels),
        d_residual(type, c.rows * c.channels),
        d_scale(grad_dtype.value_or(type), c.channels),
        d_bias(grad_dtype.value_or(type), c.channels) {
    ref = {c.rows, c.channels, x.values(), {}, {}, {}, {}, {}, 1e-5, c.relu};
    if (c.residual) ref.residual = residual.values();
    if (c.affine) ref.scale = scale.values(), ref.bias = bias.values();
    if (c.training) {
      ref.take_batch_statistics();
    } else {
      ref.mean = running_mean.values(), ref.var = running_var.values();
    }
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
               .momentum = 0.25,
               .training = c.training,
               .relu = c.relu,
               .dtype = dtype};
    backward = {.rows = c.rows,
                .channels = c.channels,
                .x = x.data(),
                .y = c.residual && c.relu ? y.data() : nullptr,
                .dy = dy.data(),
                .scale = c.affine ? scale.data() : nullptr,
                .bias = c.affine ? bias.data() : nullptr,
                .mean = mean.data(),
                .rstd = rstd.data(),
                .dx = dx.data(),
                .d_residual = d_residual.data(),
                .d_scale = d_scale.data(),
                .d_bias = d_bias.data(),
                .training = c.training,
                .relu = c.relu,
                .dtype = dtype,
                .grad_dtype = grad_dtype};
  }
  double largest_rstd() const {
    double largest = 1;
    for (const double v : ref.var) largest = std::max(largest, 1 / std::sqrt(v + ref.eps));
    return largest;
  }

  DType dtype;
  DeviceArray x, residual, dy, scale, bias, running_mean, running_var, mean, rstd, y, dx,
      d_residual, d_scale, d_bias;
  reference::BatchNorm ref;
  BatchNormForward forward;
  BatchNormBackward backward;
};

void expect_forward(const Case& c, DType dtype) {
  Problem p(c, dtype);
  std::vector<double> moved_mean = p.running_mean.values(), moved_var = p.running_var.values();
  const double n = static_cast<double>(c.rows);
  for (std::size_t k = 0; c.training && k < moved_mean.size(); ++k) {
    moved_mean[k] = 0.75 * moved_mean[k] + 0.25 * p.ref.mean[k];
    moved_var[k] = 0.75 * moved_var[k] + 0.25 * p.ref.var[k] * n / (n - 1);
  }
  run_on_device(p.forward);
  const double gain = p.largest_rstd(), size = 3 + c.shift;  // the mean's rounding counts
  expect_close(p.y, p.ref.forward(), {.scale = gain * size}, "y");
  expect_close(p.mean, p.ref.mean, {}, "mean");
  std::vector<double> rstd;
  for (const double v : p.ref.var) rstd.push_back(1 / std::sqrt(v + p.ref.eps));
  expect_close(p.rstd, rstd, {.scale = 0}, "rstd");
  expect_close(p.running_mean, moved_mean, {.scale = 1}, "running mean");
  expect_close(p.running_var, moved_var, {.scale = 1}, "running variance");
  const std::vector<double> y = p.y.values();
  p.forward.y = p.x.data();
  if (c.training) p.forward.running_mean = p.forward.running_var = nullptr;
  if (!c.training) p.forward.mean = p.forward.rstd = nullptr;
  run_on_device(p.forward);
  expect_equal(p.x, y, "y in place");
}

GPU_CASE(BatchNormKernel, ForwardMatchesReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.channels);
      expect_forward(c, dtype);
    }
  });
}

void expect_backward(const Case& c, DType dtype, std::optional<DType> grad_dtype = {}) {
  Problem p(c, dtype, grad_dtype);
  run_on_device(p.forward);
  run_on_device(p.backward);
  const auto d = p.ref.backward(p.dy.values(), c.training);
  const double rows = static_cast<double>(c.rows), gain = p.largest_rstd();
  const double size = gain * (3 + c.shift);
  const auto dx = p.dx.values(), d_scale = p.d_scale.values(), d_bias = p.d_bias.values();
  expect_close(dx, dtype, d.x, {.scale = gain * 4 * size}, "dx");
  expect_equal(p.d_residual, d.residual, "d_residual");
  expect_close(d_scale, p.d_scale.dtype(), d.scale, {.k = rows, .scale = size}, "d_scale");
  expect_close(d_bias, p.d_bias.dtype(), d.bias, {.k = rows}, "d_bias");

  p.backward.accumulate = p.backward.accumulate_residual = true;
  p.backward.accumulate_scale = p.backward.accumulate_bias = true;
  run_on_device(p.backward);
  expect_close(p.dx, plus(d.x, dx), {.scale = gain * 4 * size}, "dx accumulated");
  expect_close(p.d_residual, plus(d.residual, d.residual), {}, "d_residual accumulated");
  expect_close(p.d_scale, plus(d.scale, d_scale), {.k = rows, .scale = size},
               "d_scale accumulated");
  expect_close(p.d_bias, plus(d.bias, d_bias), {.k = rows}, "d_bias accumulated");
}

GPU_CASE(BatchNormKernel, BackwardMatchesReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.channels);
      expect_backward(c, dtype);
    }
  });
}

// Rows [begin, end) of a problem.
void* row_of(const DeviceArray& array, std::int64_t begin, std::int64_t channels) {
  const auto size = static_cast<std::int64_t>(size_of(array.dtype()));
  return array.as<std::byte>() + begin * channels * size;
}
BatchNormForward rows_of(const Problem& p, std::int64_t begin, std::int64_t end) {
  BatchNormForward op = p.forward;
  op.rows = end - begin;
  op.x = row_of(p.x, begin, op.channels);
  op.y = row_of(p.y, begin, op.channels);
  if (op.residual != nullptr) op.residual = row_of(p.residual, begin, op.channels);
  return op;
}
BatchNormBackward gradient_rows_of(const Problem& p, std::int64_t begin, std::int64_t end) {
  BatchNormBackward op = p.backward;
  op.rows = end - begin;
  op.x = row_of(p.x, begin, op.channels);
  if (op.y != nullptr) op.y = row_of(p.y, begin, op.channels);
  op.dy = row_of(p.dy, begin, op.channels);
  op.dx = row_of(p.dx, begin, op.channels);
  op.d_residual = row_of(p.d_residual, begin, op.channels);
  return op;
}

// The rows of one batch cut at `cuts`, each rank's part by itself but for the sums.
void expect_ranks_match_reference(const Case& c, DType dtype,
                                  const std::vector<std::int64_t>& cuts) {
  Problem p(c, dtype);
  const std::int64_t ranks = std::ssize(cuts) - 1, n = 1 + 2 * c.channels;
  const DeviceValues<double> moments(std::vector<double>(static_cast<std::size_t>(ranks * n), NAN));
  const DeviceValues<double> sums(
      std::vector<double>(static_cast<std::size_t>(ranks * 2 * c.channels), NAN));
  const auto for_each_rank = [&](const auto& f) {
    for (std::int64_t r = 0; r < ranks; ++r) f(r, cuts[r], cuts[r + 1]);
  };
  for_each_rank([&](std::int64_t r, std::int64_t begin, std::int64_t end) {
    BatchNormForward op = rows_of(p, begin, end);
    op.moments.own = moments.data() + r * n;
    op.y = op.running_mean = op.running_var = op.mean = op.rstd = nullptr;
    run_on_device(op);
  });
  std::vector<double> moved_var = p.running_var.values();
  const double rows = static_cast<double>(c.rows);
  for (std::size_t k = 0; k < moved_var.size(); ++k) {
    moved_var[k] = 0.75 * moved_var[k] + 0.25 * p.ref.var[k] * rows / (rows - 1);
  }
  for_each_rank([&](std::int64_t r, std::int64_t begin, std::int64_t end) {
    BatchNormForward op = rows_of(p, begin, end);
    op.moments = {nullptr, moments.data(), ranks};
    if (r > 0) op.running_mean = op.running_var = nullptr;  // one rank's is enough
    run_on_device(op);
  });
  const double gain = p.largest_rstd(), size = 3 + c.shift;
  expect_close(p.y, p.ref.forward(), {.scale = gain * size}, "y");
  expect_close(p.mean, p.ref.mean, {}, "mean");
  expect_close(p.running_var, moved_var, {.scale = 1}, "running variance");

  const auto d = p.ref.backward(p.dy.values(), true);
  std::vector<double> d_scale(static_cast<std::size_t>(c.channels)), d_bias = d_scale;
  for_each_rank([&](std::int64_t r, std::int64_t begin, std::int64_t end) {
    BatchNormBackward op = gradient_rows_of(p, begin, end);
    op.dx = op.d_residual = nullptr;
    op.sums.own = sums.data() + 2 * r * c.channels;
    run_on_device(op);
    d_scale = plus(d_scale, p.d_scale.values());
    d_bias = plus(d_bias, p.d_bias.values());
  });
  for_each_rank([&](std::int64_t, std::int64_t begin, std::int64_t end) {
    BatchNormBackward op = gradient_rows_of(p, begin, end);
    op.d_scale = op.d_bias = nullptr;
    op.sums = {nullptr, sums.data(), ranks};
    op.moments = {nullptr, moments.data(), ranks};
    run_on_device(op);
  });
  const double term = gain * (3 + c.shift);
  expect_close(p.dx, d.x, {.scale = gain * 4 * term}, "dx");
  expect_equal(p.d_residual, d.residual, "d_residual");
  expect_close(d_scale, DType::f32, d.scale, {.k = rows, .scale = term}, "d_scale");
  expect_close(d_bias, DType::f32, d.bias, {.k = rows}, "d_bias");
}

GPU_CASE(BatchNormKernel, RanksTogetherMatchReference) {
  constexpr auto f32 = DType::f32;
  expect_ranks_match_reference({31, 3, false}, f32, {0, 31});
  expect_ranks_match_reference({129, 33, true, true, true}, f32, {0, 60, 129});
  expect_ranks_match_reference({300, 7, true, false, true, true, 8}, f32, {0, 1, 299, 299, 300});
  expect_ranks_match_reference({2, 260}, f32, {0, 1, 2});
}

GPU_CASE(BatchNormKernel, GradientsOfHalfParametersMayBeF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    expect_backward({129, 33, true, true, true}, dtype, DType::f32);
  }
  Problem p({2, 3}, DType::f32);
  p.backward.grad_dtype = DType::f16;
  EXPECT_THROW(run_on_device(p.backward), Error);
}

GPU_CASE(BatchNormKernel, GradientsMayBeLeftOut) {
  Problem p({31, 3, true, false, true}, DType::f32);
  run_on_device(p.forward);
  run_on_device(p.backward);
  const auto dx = p.dx.values(), d_scale = p.d_scale.values();
  p.backward.d_residual = p.backward.d_scale = p.backward.d_bias = nullptr;
  run_on_device(p.backward);
  expect_equal(p.dx, dx, "dx");
  p.backward.dx = nullptr;
  p.backward.d_scale = p.d_scale.data();
  run_on_device(p.backward);
  expect_equal(p.d_scale, d_scale, "d_scale");
}

// The mask recomputed from x is the one that y shows, also where y rounds to zero.
GPU_CASE(BatchNormKernel, RecomputedMaskEqualsSavedOne) {
  for_each_dtype([](DType dtype) {
    std::vector<double> x = random_doubles(dtype, 401 * 3, 1);
    for (std::size_t i = 0; i < x.size(); i += 5) x[i] *= 0x1p-20;
    Problem p({401, 3, true, false, true}, dtype, rounded(dtype, x));
    run_on_device(p.forward);
    run_on_device(p.backward);
    const std::vector<double> recomputed = p.d_residual.values();
    p.backward.y = p.y.data();
    run_on_device(p.backward);
    expect_equal(p.d_residual, recomputed, "d_residual");
  });
}

GPU_CASE(BatchNormKernel, VarianceSurvivesLargeMeanAndOutliers) {
  const std::int64_t rows = 1000;
  std::vector<double> x = random_doubles(DType::f32, rows * 2, 11);
  for (std::size_t i = 0; i < x.size(); i += 2) x[i] += 4096;
  x[1] = 3000;  // the very first value
  Problem p({rows, 2, false}, DType::f32, rounded(DType::f32, x));
  run_on_device(p.forward);
  std::vector<double> rstd;
  for (const double v : p.ref.var) rstd.push_back(1 / std::sqrt(v + p.ref.eps));
  expect_close(p.rstd, rstd, {.scale = 0}, "rstd");
}

GPU_CASE(BatchNormKernel, AnEmptyBatchGivesZeros) {
  Problem p({0, 9}, DType::bf16);
  const std::vector<double> zeros(9);
  run_on_device(p.forward);
  expect_equal(p.mean, zeros, "mean");
  expect_equal(p.rstd, zeros, "rstd");
  run_on_device(p.backward);
  expect_equal(p.d_scale, zeros, "d_scale");
  expect_equal(p.d_bias, zeros, "d_bias");
}

GPU_CASE(BatchNormKernel, RefusesWhatHasNoVariance) {
  Problem p({1, 3}, DType::f32);
  EXPECT_THROW(run_on_device(p.forward), Error);
  p.forward.training = false;
  p.forward.running_var = nullptr;
  EXPECT_THROW(run_on_device(p.forward), Error);
}

}  // namespace
}  // namespace convoy::testing
