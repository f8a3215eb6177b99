// SPDX-License-Identifier: MIT
// The special values of special_values.h in what is normalised, and among the logits of classes.
#include <algorithm>
#include <cmath>

#include "kernels/batch_norm.h"
#include "kernels/cross_entropy.h"
#include "kernels/layer_norm.h"
#include "kernels/norm_act.h"
#include "kernels/softmax.h"
#include "tests/kernels/gpu/special_values.h"

namespace convoy::testing {
namespace {

constexpr std::int64_t kTerms = 5;

// What is not finite makes its own column NaN and leaves the others alone; columns of one value, of
// any size, have no variance, and what is left of them is the bias.
GPU_CASE(SpecialRows, BatchNorm) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    std::vector<double> same;
    for (int r = 0; r < kTerms; ++r) same.insert(same.end(), values.begin(), values.end());
    const FencedArray x(dtype, same), y(dtype, kTerms * n), dx(dtype, kTerms * n);
    const FencedArray bias(dtype, std::vector<double>(values.size(), 0.5));
    const FencedArray dy(dtype, std::vector<double>(same.size(), 1.0));
    const FencedArray mean(DType::f32, n), rstd(DType::f32, n);
    run_on_device(BatchNormForward{.rows = kTerms,
                                   .channels = n,
                                   .x = x.data(),
                                   .bias = bias.data(),
                                   .mean = mean.data(),
                                   .rstd = rstd.data(),
                                   .y = y.data(),
                                   .dtype = dtype});
    std::vector<double> expected, gradient;
    for (const double v : same) expected.push_back(std::isfinite(v) ? 0.5 : NAN);
    for (const double v : same) gradient.push_back(std::isfinite(v) ? 0.0 : NAN);
    expect_special(y, expected, "batch_norm");
    run_on_device(BatchNormBackward{.rows = kTerms,
                                    .channels = n,
                                    .x = x.data(),
                                    .dy = dy.data(),
                                    .mean = mean.data(),
                                    .rstd = rstd.data(),
                                    .dx = dx.data(),
                                    .dtype = dtype});
    expect_special(dx, gradient, "batch_norm backward");
  });
}

// A variance of infinity lets nothing through, one of 0 what eps lets through.
GPU_CASE(SpecialRows, LinesOfANorm) {
  const std::vector<double> var{0, smallest(DType::f32), kInf, NAN, kLarge};
  const std::int64_t n = std::ssize(var);
  const FencedArray mean(DType::f32, std::vector<double>(var.size(), 1.0));
  const FencedArray device_var(DType::f32, var);
  const DeviceValues<NormLine> lines((std::vector<NormLine>(var.size())));
  run_on_device(NormLinesFromBatch{.rows = 4,
                                   .channels = n,
                                   .mean = mean.as<float>(),
                                   .var = device_var.as<float>(),
                                   .scale = nullptr,
                                   .bias = nullptr,
                                   .running_mean = nullptr,
                                   .running_var = nullptr,
                                   .lines = lines.data(),
                                   .momentum = 0.1,
                                   .eps = 0x1p-10,
                                   .dtype = DType::f32});
  std::vector<double> found, expected;
  for (const NormLine& line : lines.values()) found.push_back(line.gain);
  for (const double v : var) expected.push_back(1 / std::sqrt(v + 0x1p-10));
  expect_close(found, DType::f32, expected, {}, "gain");
}

// Every value of a norm with every value of a residual. A norm that changes nothing adds 0.
GPU_CASE(SpecialRows, NormAct) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    std::vector<double> x, r;
    for (const double v : values) x.insert(x.end(), values.size(), v);
    for (const double v [[maybe_unused]] : values) r.insert(r.end(), values.begin(), values.end());
    const FencedArray device_x(dtype, x), residual(dtype, r), y(dtype, n * n);
    const DeviceValues<NormLine> lines(std::vector<NormLine>(values.size(), {0, 1, 0, 1}));
    for (const bool relu : {false, true}) {
      std::vector<double> expected;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double v = (x[i] + 0.0) + r[i];
        expected.push_back(relu && v < 0 ? 0 : v);
      }
      run_on_device(NormAct{n, n, device_x.data(), lines.data(), residual.data(), nullptr, y.data(),
                            relu, dtype});
      expect_special(y, expected, relu ? "norm and relu" : "norm");
    }
  });
}

GPU_CASE(SpecialRows, LayerNorm) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    std::vector<double> rows;
    for (const double v : values) rows.insert(rows.end(), kTerms, v);
    const FencedArray x(dtype, rows), y(dtype, kTerms * n);
    const FencedArray bias(dtype, std::vector<double>(kTerms, 0.5));
    const FencedArray mean(DType::f32, n), rstd(DType::f32, n);
    run_on_device(LayerNormForward{.rows = n,
                                   .channels = kTerms,
                                   .x = x.data(),
                                   .bias = bias.data(),
                                   .mean = mean.data(),
                                   .rstd = rstd.data(),
                                   .y = y.data(),
                                   .dtype = dtype});
    std::vector<double> expected;
    for (const double v : rows) expected.push_back(std::isfinite(v) ? 0.5 : NAN);
    expect_special(y, expected, "layer_norm");
  });
}

GPU_CASE(SpecialRows, Softmax) {
  for_each_dtype([](DType dtype) {
    // Two classes: a value, and one. 65504 or -65504 beside it leave it nothing, or everything.
    const std::vector<double> values = specials(dtype);
    std::vector<double> x, expected, logs;
    for (const double v : values) {
      x.insert(x.end(), {v, 1});
      const bool lost = std::isnan(v) || v == kInf;
      const double p = lost ? NAN : 1 / (1 + std::exp(1 - v));
      expected.insert(expected.end(), {p, lost ? NAN : 1 / (1 + std::exp(v - 1))});
      const double above = std::max(v, 1.0) + std::log1p(std::exp(-std::abs(v - 1)));
      logs.insert(logs.end(), {lost ? NAN : v - above, lost ? NAN : 1 - above});
    }
    const std::int64_t rows = std::ssize(values);
    const FencedArray device_x(dtype, x), y(dtype, std::ssize(x));
    run_on_device(SoftmaxForward{rows, 2, device_x.data(), y.data(), false, dtype});
    expect_close(y, rounded(dtype, expected), {}, "softmax");
    run_on_device(SoftmaxForward{rows, 2, device_x.data(), y.data(), true, dtype});
    expect_close(y, rounded(dtype, logs), {}, "log_softmax");
  });
}

// A class that has what is not a number or +inf loses its row; -inf is a class that cannot be.
GPU_CASE(SpecialRows, CrossEntropy) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t rows = std::ssize(values);
    std::vector<double> z, expected;
    for (const double v : values) {
      z.insert(z.end(), {v, 1});
      const bool lost = std::isnan(v) || v == kInf;
      expected.push_back(lost ? NAN
                              : std::max(v - 1, 0.0) + std::log1p(std::exp(-std::abs(v - 1))));
    }
    const FencedArray logits(dtype, z), row_loss(DType::f32, rows), lse(DType::f32, rows);
    const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(values.size(), 1));
    run_on_device(CrossEntropyForward{.rows = rows,
                                      .classes = 2,
                                      .logits = logits.data(),
                                      .target = {.target = target.data()},
                                      .reduction = Reduction::none,
                                      .row_loss = row_loss.data(),
                                      .lse = lse.data(),
                                      .dtype = dtype});
    expect_close(row_loss, expected, {}, "cross_entropy");
  });
}

// A NaN stands before any number, and is no answer.
GPU_CASE(SpecialRows, TopKCount) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t rows = std::ssize(values);
    std::vector<double> z;
    for (const double v : values) z.insert(z.end(), {v, 1, -kInf});
    const FencedArray logits(dtype, z);
    for (const std::int64_t target : {0, 1}) {
      std::int64_t best = 0;
      for (const double v : values) best += target == 0 ? v >= 1 : v < 1;
      const std::int64_t no_answer = target == 0 ? 1 : 0;
      const DeviceValues<std::int64_t> targets(std::vector<std::int64_t>(values.size(), target));
      const DeviceValues<std::int64_t> correct(std::vector<std::int64_t>(3));
      run_on_device(TopKCount{.rows = rows,
                              .classes = 3,
                              .logits = logits.data(),
                              .target = targets.data(),
                              .k = {1, 2},
                              .correct = correct.data(),
                              .dtype = dtype});
      const std::vector<std::int64_t> expected{best, rows - no_answer, rows};
      EXPECT_EQ(correct.values(), expected) << "class " << target;
    }
  });
}

}  // namespace
}  // namespace convoy::testing
