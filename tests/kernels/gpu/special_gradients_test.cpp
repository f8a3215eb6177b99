// SPDX-License-Identifier: MIT
// The special values of special_values.h as gradients, and gradients of them.
#include <cmath>
#include <string>

#include "kernels/batch_norm.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/norm_act.h"
#include "kernels/pool2d.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/kernels/gpu/special_values.h"

namespace convoy::testing {
namespace {

// A gradient of any size passes where the derivative is 1, and nothing of it where that is a
// constant 0; a derivative that is computed multiplies, and 0 * inf is NaN.
GPU_CASE(SpecialGradients, OneOperand) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> dy = specials(dtype);
    const std::int64_t count = std::ssize(dy);
    const FencedArray device_dy(dtype, dy), dx(dtype, count);
    const auto gradient = [&](UnaryFn fn, double saved) {
      const FencedArray device_saved(dtype, std::vector<double>(dy.size(), saved));
      run_on_device(
          UnaryBackward{fn, count, device_saved.data(), device_dy.data(), dx.data(), dtype, -2, 2});
    };
    for (const UnaryFn fn : {UnaryFn::relu, UnaryFn::relu6, UnaryFn::clamp}) {
      gradient(fn, 1);
      expect_special(dx, dy, std::string(name(fn)) + " at 1");
      gradient(fn, fn == UnaryFn::clamp ? -kInf : 0);
      expect_special(dx, std::vector<double>(dy.size(), 0.0), std::string(name(fn)) + " below");
    }
    std::vector<double> nothing = dy;
    for (double& g : nothing) g = g * 0.0;
    gradient(UnaryFn::sigmoid, 0);
    expect_special(dx, nothing, "sigmoid at 0");
    gradient(UnaryFn::tanh, NAN);
    expect_special(dx, std::vector<double>(dy.size(), NAN), "tanh at NaN");
  });
}

// ---- norms ----

// Every value of an output with every value of its gradient, n x n.
struct Pairs {
  explicit Pairs(DType type)
      : dtype(type),
        values(specials(type)),
        n(std::ssize(values)),
        z(dtype, each(true)),
        dy(dtype, each(false)),
        g(dtype, n * n) {}
  std::vector<double> each(bool by_row) const {
    std::vector<double> all;
    for (const double row : values) {
      for (const double column : values) all.push_back(by_row ? row : column);
    }
    return all;
  }
  // What a ReLU lets through: all but what it held at 0. A NaN is not held.
  std::vector<double> passed() const {
    std::vector<double> all;
    for (const double v : values) {
      for (const double given : values) all.push_back(v <= 0 ? 0 : given);
    }
    return all;
  }

  DType dtype;
  std::vector<double> values;
  std::int64_t n;
  FencedArray z, dy, g;
};

GPU_CASE(SpecialGradients, NormAct) {
  for_each_dtype([](DType dtype) {
    const Pairs p(dtype);
    const std::vector<double> passed = p.passed();
    const DeviceValues<NormLine> lines(std::vector<NormLine>(p.values.size(), {0, 1, 0, 1}));
    const FencedArray sums(DType::f32, 2 * p.n);
    for (const bool again : {false, true}) {
      run_on_device(NormActBackward{.rows = p.n,
                                    .channels = p.n,
                                    .dy = p.dy.data(),
                                    .x = p.z.data(),
                                    .lines = lines.data(),
                                    .y = again ? nullptr : p.z.data(),
                                    .g = p.g.data(),
                                    .sums = sums.as<float>(),
                                    .relu = true,
                                    .dtype = dtype});
      expect_special(p.g, passed, again ? "computed again" : "from the output");
      std::vector<double> expected(static_cast<std::size_t>(2 * p.n));
      for (std::int64_t i = 0; i < p.n * p.n; ++i) {
        const auto at = static_cast<std::size_t>(i), c = static_cast<std::size_t>(i % p.n);
        expected[c] += passed[at];
        expected[c + p.values.size()] += passed[at] * p.values[static_cast<std::size_t>(i / p.n)];
      }
      expect_close(sums.values(), DType::f32, expected, {.scale = kLarge}, "sums");
    }
  });
}

GPU_CASE(SpecialGradients, BatchNormAndReLU) {
  for_each_dtype([](DType dtype) {
    const Pairs p(dtype);
    const FencedArray mean(DType::f32, std::vector<double>(p.values.size(), 0.0));
    const FencedArray rstd(DType::f32, std::vector<double>(p.values.size(), 1.0));
    for (const bool again : {false, true}) {
      run_on_device(BatchNormBackward{.rows = p.n,
                                      .channels = p.n,
                                      .x = p.z.data(),
                                      .y = again ? nullptr : p.z.data(),
                                      .dy = p.dy.data(),
                                      .mean = mean.data(),
                                      .rstd = rstd.data(),
                                      .d_residual = p.g.data(),
                                      .training = false,
                                      .relu = true,
                                      .dtype = dtype});
      expect_special(p.g, p.passed(), again ? "computed again" : "from the output");
    }
  });
}

GPU_CASE(SpecialGradients, LinesOfANorm) {
  const std::vector<double> values = specials(DType::f32);
  const std::int64_t n = std::ssize(values);
  const DeviceValues<NormLine> lines(std::vector<NormLine>(values.size(), {0, 2, 0, 2}));
  const FencedArray sum(DType::f32, values), d_bias(DType::f32, n), d_scale(DType::f32, n);
  const DeviceValues<NormGradientLine> out((std::vector<NormGradientLine>(values.size())));
  run_on_device(NormGradientLines{.rows = 4,
                                  .channels = n,
                                  .lines = lines.data(),
                                  .sum = sum.as<float>(),
                                  .dot = sum.as<float>(),
                                  .d_scale = d_scale.data(),
                                  .d_bias = d_bias.data(),
                                  .out = out.data(),
                                  .accumulate_scale = false,
                                  .accumulate_bias = false,
                                  .grad_dtype = DType::f32});
  expect_special(d_bias, values, "d_bias");
  std::vector<double> twice, levels, found, slopes;
  for (const double v : values) twice.push_back(2 * v), levels.push_back(v / 4);
  for (const NormGradientLine& line : out.values()) {
    found.push_back(line.level), slopes.push_back(line.slope);
  }
  expect_special(d_scale, twice, "d_scale");
  expect_close(found, DType::f32, levels, {}, "level");
  expect_close(slopes, DType::f32, values, {}, "slope");  // rstd^2 / rows is 1
}

// What is not finite makes its row NaN and leaves the others alone; of a row of one value, of any
// size, nothing is left.
GPU_CASE(SpecialGradients, LayerNorm) {
  for_each_dtype([](DType dtype) {
    constexpr std::int64_t kTerms = 5;
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    std::vector<double> rows, expected;
    for (const double v : values) {
      rows.insert(rows.end(), kTerms, v);
      expected.insert(expected.end(), kTerms, std::isfinite(v) ? 0.0 : NAN);
    }
    const FencedArray x(dtype, rows), y(dtype, kTerms * n), dx(dtype, kTerms * n);
    const FencedArray dy(dtype, std::vector<double>(rows.size(), 1.0));
    const FencedArray mean(DType::f32, n), rstd(DType::f32, n);
    run_on_device(LayerNormForward{.rows = n,
                                   .channels = kTerms,
                                   .x = x.data(),
                                   .mean = mean.data(),
                                   .rstd = rstd.data(),
                                   .y = y.data(),
                                   .dtype = dtype});
    run_on_device(LayerNormBackward{.rows = n,
                                    .channels = kTerms,
                                    .x = x.data(),
                                    .dy = dy.data(),
                                    .mean = mean.data(),
                                    .rstd = rstd.data(),
                                    .dx = dx.data(),
                                    .dtype = dtype});
    expect_close(dx.values(), dtype, expected, {.scale = 1}, "layer_norm");
  });
}

// ---- rows of classes ----

GPU_CASE(SpecialGradients, Softmax) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t rows = std::ssize(values);
    const double logs[] = {rounded(dtype, {std::log(0.25)})[0],
                           rounded(dtype, {std::log(0.75)})[0]};
    std::vector<double> y, log_y, dy, dx, log_dx;
    for (const double v : values) {
      y.insert(y.end(), {0.25, 0.75});
      log_y.insert(log_y.end(), {logs[0], logs[1]});
      dy.insert(dy.end(), {v, 1});
      const double total = 0.25 * v + 0.75;
      dx.insert(dx.end(), {0.25 * (v - total), 0.75 * (1 - total)});
      const double sum = v + 1;
      log_dx.insert(log_dx.end(), {v - std::exp(logs[0]) * sum, 1 - std::exp(logs[1]) * sum});
    }
    const FencedArray device_y(dtype, y), device_logs(dtype, log_y), device_dy(dtype, dy);
    const FencedArray out(dtype, 2 * rows);
    SoftmaxBackward op{rows, 2, device_y.data(), device_dy.data(), out.data(), false, false, dtype};
    run_on_device(op);
    expect_close(out.values(), dtype, dx, {.scale = kLarge}, "softmax");
    op.y = device_logs.data();
    op.log = true;
    run_on_device(op);
    expect_close(out.values(), dtype, log_dx, {.scale = kLarge}, "log_softmax");
  });
}

GPU_CASE(SpecialGradients, CrossEntropy) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t rows = std::ssize(values);
    std::vector<double> z, expected;
    for (const double v : values) {
      z.insert(z.end(), {v, 1});
      const bool lost = std::isnan(v) || v == kInf;
      const double p = lost ? NAN : 1 / (1 + std::exp(1 - v));
      expected.insert(expected.end(), {p, -p});
    }
    const FencedArray logits(dtype, z), dlogits(dtype, 2 * rows), row_loss(DType::f32, rows);
    const FencedArray lse(DType::f32, rows);
    const FencedArray dloss(DType::f32, std::vector<double>(values.size(), 1.0));
    const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(values.size(), 1));
    run_on_device(CrossEntropyForward{.rows = rows,
                                      .classes = 2,
                                      .logits = logits.data(),
                                      .target = {.target = target.data()},
                                      .reduction = Reduction::none,
                                      .row_loss = row_loss.data(),
                                      .lse = lse.data(),
                                      .dtype = dtype});
    run_on_device(CrossEntropyBackward{.rows = rows,
                                       .classes = 2,
                                       .logits = logits.data(),
                                       .target = {.target = target.data()},
                                       .reduction = Reduction::none,
                                       .lse = lse.data(),
                                       .dloss = dloss.data(),
                                       .dlogits = dlogits.data(),
                                       .dtype = dtype});
    expect_close(dlogits.values(), dtype, expected, {.scale = 1}, "cross_entropy");
  });
}

// ---- gathers: each gradient to the one that was chosen, or shared ----

GPU_CASE(SpecialGradients, MaximumOfAColumn) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> dy = specials(dtype);
    const std::int64_t n = std::ssize(dy);
    std::vector<std::int64_t> chosen;
    std::vector<double> expected(2 * dy.size());
    for (std::size_t c = 0; c < dy.size(); ++c) {
      chosen.push_back(static_cast<std::int64_t>(c % 2));
      expected[c % 2 * dy.size() + c] = 0.0 + dy[c];  // a sum of one is no -0
    }
    const FencedArray device_dy(dtype, dy), dx(dtype, 2 * n);
    const DeviceValues<std::int64_t> index(chosen);
    run_on_device(ReduceMaxBackward{{2, n}, 1, device_dy.data(), index.data(), dx.data(), dtype});
    expect_special(dx, expected, "dx");
  });
}

GPU_CASE(SpecialGradients, PoolingAndResizing) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> dy = specials(dtype);
    const std::int64_t n = std::ssize(dy);
    const Pool2dGeometry g = pool2d_geometry("pool2d", {1, 2, 2, n}, {.kernel_size = {2, 2}});
    std::vector<std::int32_t> chosen;
    std::vector<double> largest(4 * dy.size()), shared(4 * dy.size()), resized;
    for (std::size_t c = 0; c < dy.size(); ++c) {
      chosen.push_back(static_cast<std::int32_t>(c % 4));
      largest[c % 4 * dy.size() + c] = 0.0 + dy[c];
      for (std::size_t pixel = 0; pixel < 4; ++pixel) {
        shared[pixel * dy.size() + c] = dy[c] / 4;
      }
      resized.push_back(4 * dy[c] + 0.0);
    }
    const FencedArray device_dy(dtype, dy), dx(dtype, 4 * n), small(dtype, n);
    const DeviceValues<std::int32_t> indices(chosen);
    run_on_device(MaxPool2dBackward{g, device_dy.data(), indices.data(), dx.data(), false, dtype});
    expect_special(dx, largest, "max_pool2d");
    run_on_device(AvgPool2dBackward{g, device_dy.data(), dx.data(), false, dtype});
    expect_close(dx.values(), dtype, shared, {}, "avg_pool2d");
    std::vector<double> four;  // [1, 2, 2, n]
    for (int pixel = 0; pixel < 4; ++pixel) four.insert(four.end(), dy.begin(), dy.end());
    const FencedArray of_four(dtype, four);
    run_on_device(UpsampleBackward{upsample_geometry({1, 1, 1, n}, {.size = {2, 2}}),
                                   of_four.data(), small.data(), false, dtype});
    expect_special(small, resized, "nearest");
  });
}

}  // namespace
}  // namespace convoy::testing
