// SPDX-License-Identifier: MIT
// Kernels over rows and columns: reductions, softmax and norms.
#include "kernels/batch_norm.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/layer_norm.h"
#include "kernels/norm_act.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "tests/kernels/gpu/traffic_check.h"

namespace convoy::testing {

TRAFFIC_TEST(Reduce) {
  const DeviceArray x = random_array(dtype), factor = random_array(dtype), dx(dtype, kCount);
  for (const std::uint32_t axes : {1u, 2u, 3u}) {
    const std::int64_t outputs = axes == 1 ? kColumns : axes == 2 ? kRows : 1;
    const auto small = static_cast<double>(outputs) * static_cast<double>(size_of(dtype));
    const DeviceArray y(dtype, outputs), index(DType::i64, outputs);
    const std::string over = " over axes " + std::to_string(axes);
    ReduceSum sum{{kRows, kColumns}, {kColumns, 1}, axes, x.data(), y.data(), dtype};
    expect_least("sum" + over, sum, {{&x, 1}}, small);
    sum.factor = factor.data();
    sum.factor_strides = sum.x_strides;
    expect_least("dot" + over, sum, {{&x, 1}, {&factor, 1}}, small);
    const ReduceMax max{{kRows, kColumns},        {kColumns, 1}, axes, x.data(), y.data(),
                        index.as<std::int64_t>(), dtype};
    const double of_index = 8 * static_cast<double>(outputs);
    expect_least("max" + over, max, {{&x, 1}}, small + of_index);
    expect_least("max backward" + over,
                 ReduceMaxBackward{
                     {kRows, kColumns}, axes, y.data(), index.as<std::int64_t>(), dx.data(), dtype},
                 {{&dx, 1}}, small + of_index);
  }
}

TRAFFIC_TEST(Softmax) {
  for (const std::int64_t classes : {64, 1024, 4096}) {
    const DeviceArray x = random_array(dtype), dy = random_array(dtype), y(dtype, kCount);
    const std::string of = " of " + std::to_string(classes);
    expect_least("softmax" + of,
                 SoftmaxForward{kCount / classes, classes, x.data(), y.data(), false, dtype},
                 {{&x, 1}, {&y, 1}});
    expect_least("softmax backward" + of,
                 SoftmaxBackward{kCount / classes, classes, x.data(), dy.data(), y.data(), false,
                                 false, dtype},
                 {{&x, 1}, {&dy, 1}, {&y, 1}});
  }
}

TRAFFIC_TEST(CrossEntropy) {
  constexpr std::int64_t kClasses = 1024, kSamples = kCount / kClasses;
  const DeviceArray z = random_array(dtype), dz(dtype, kCount), soft = random_array(dtype);
  const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(kSamples, 7));
  const DeviceArray row_loss(DType::f32, kSamples), lse(DType::f32, kSamples), one(DType::f32, 1),
      loss(DType::f32, 1), divisor(DType::f32, 1);
  const DeviceValues<std::int64_t> correct({0, 0, 0});
  run_on_device(Fill{1, one.data(), 1.0, DType::f32});
  CrossEntropyForward forward{.rows = kSamples,
                              .classes = kClasses,
                              .logits = z.data(),
                              .target = {.target = target.data()},
                              .row_loss = row_loss.data(),
                              .lse = lse.data(),
                              .loss = loss.data(),
                              .divisor = divisor.data(),
                              .dtype = dtype};
  CrossEntropyBackward backward{.rows = kSamples,
                                .classes = kClasses,
                                .logits = z.data(),
                                .target = forward.target,
                                .lse = lse.data(),
                                .divisor = divisor.data(),
                                .dloss = one.data(),
                                .dlogits = dz.data(),
                                .dtype = dtype};
  expect_least("cross entropy", forward, {{&z, 1}});
  expect_least("cross entropy backward", backward, {{&z, 1}, {&dz, 1}});
  forward.target = backward.target = {.target = soft.data(), .dtype = dtype};
  expect_least("soft cross entropy", forward, {{&z, 1}, {&soft, 1}});
  expect_least("soft cross entropy backward", backward, {{&z, 1}, {&soft, 1}, {&dz, 1}});
  expect_least("top k",
               TopKCount{.rows = kSamples,
                         .classes = kClasses,
                         .logits = z.data(),
                         .target = target.data(),
                         .correct = correct.data(),
                         .dtype = dtype},
               {{&z, 1}}, 0, 13);  // all lanes read the logit of their row's class
}

TRAFFIC_TEST(BatchNorm) {
  const DeviceArray x = random_array(dtype), r = random_array(dtype), dy = random_array(dtype),
                    y(dtype, kCount), dx(dtype, kCount), dr(dtype, kCount);
  const DeviceArray scale = random_array(dtype, kColumns), bias = random_array(dtype, kColumns),
                    d_scale(dtype, kColumns), d_bias(dtype, kColumns);
  const DeviceArray mean(DType::f32, kColumns), rstd(DType::f32, kColumns);
  BatchNormForward forward{.rows = kRows,
                           .channels = kColumns,
                           .x = x.data(),
                           .scale = scale.data(),
                           .bias = bias.data(),
                           .mean = mean.data(),
                           .rstd = rstd.data(),
                           .y = y.data(),
                           .dtype = dtype};
  BatchNormBackward backward{.rows = kRows,
                             .channels = kColumns,
                             .x = x.data(),
                             .dy = dy.data(),
                             .scale = scale.data(),
                             .bias = bias.data(),
                             .mean = mean.data(),
                             .rstd = rstd.data(),
                             .dx = dx.data(),
                             .d_scale = d_scale.data(),
                             .d_bias = d_bias.data(),
                             .dtype = dtype};
  expect_least("batch_norm", forward, {{&x, 2}, {&y, 1}});
  expect_least("batch_norm backward", backward, {{&x, 2}, {&dy, 2}, {&dx, 1}});
  forward.relu = backward.relu = true;
  expect_least("batch_norm, relu", forward, {{&x, 2}, {&y, 1}});
  expect_least("batch_norm, relu, backward", backward, {{&x, 2}, {&dy, 2}, {&dx, 1}});
  forward.residual = r.data();
  backward.y = y.data();
  backward.d_residual = dr.data();
  expect_least("batch_norm, residual", forward, {{&x, 2}, {&r, 1}, {&y, 1}});
  expect_least("batch_norm, residual, backward", backward,
               {{&x, 2}, {&y, 2}, {&dy, 2}, {&dx, 1}, {&dr, 1}});
  forward.training = false;
  forward.running_mean = mean.data();
  forward.running_var = rstd.data();
  forward.mean = forward.rstd = nullptr;
  expect_least("batch_norm, inference", forward, {{&x, 1}, {&r, 1}, {&y, 1}});
}

TRAFFIC_TEST(LayerNorm) {
  for (const std::int64_t channels : {64, 1024, 4096}) {
    const std::int64_t rows = kCount / channels;
    const DeviceArray x = random_array(dtype), dy = random_array(dtype), y(dtype, kCount),
                      dx(dtype, kCount);
    const DeviceArray scale = random_array(dtype, channels), bias = random_array(dtype, channels),
                      d_scale(dtype, channels), d_bias(dtype, channels);
    const DeviceArray mean(DType::f32, rows), rstd(DType::f32, rows);
    const std::string of = " of " + std::to_string(channels);
    const double statistics = 8 * static_cast<double>(rows);
    const double parameters = 2 * static_cast<double>(channels * std::int64_t(size_of(dtype)));
    expect_least("layer_norm" + of,
                 LayerNormForward{.rows = rows,
                                  .channels = channels,
                                  .x = x.data(),
                                  .scale = scale.data(),
                                  .bias = bias.data(),
                                  .mean = mean.data(),
                                  .rstd = rstd.data(),
                                  .y = y.data(),
                                  .dtype = dtype},
                 {{&x, 1}, {&y, 1}}, statistics + parameters);
    expect_least("layer_norm backward" + of,
                 LayerNormBackward{.rows = rows,
                                   .channels = channels,
                                   .x = x.data(),
                                   .dy = dy.data(),
                                   .scale = scale.data(),
                                   .mean = mean.data(),
                                   .rstd = rstd.data(),
                                   .dx = dx.data(),
                                   .d_scale = d_scale.data(),
                                   .d_bias = d_bias.data(),
                                   .dtype = dtype},
                 {{&x, 2}, {&dy, 2}, {&dx, 1}}, 2 * statistics + 2 * parameters);
  }
}

TRAFFIC_TEST(NormAct) {
  const DeviceArray x = random_array(dtype), r = random_array(dtype), g(dtype, kCount);
  const DeviceValues<NormLine> lines(std::vector<NormLine>(kColumns, {0, 1, 0, 1}));
  expect_least(
      "norm_act",
      NormAct{kRows, kColumns, x.data(), lines.data(), r.data(), nullptr, g.data(), true, dtype},
      {{&x, 1}, {&r, 1}, {&g, 1}});
}

}  // namespace convoy::testing
