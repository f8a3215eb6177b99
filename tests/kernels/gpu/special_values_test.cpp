// SPDX-License-Identifier: MIT
// Zeros of both signs, denormals, infinities, NaN and f16's largest value through the kernels that
// compute: what each op's header says, which is what PyTorch does. Gradients have
// special_gradients_test.cpp, optimizers special_steps_test.cpp; tests/every_op.cmake knows where
// the rest is.
#include <algorithm>
#include <cmath>

#include "kernels/batch_norm.h"
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/norm_act.h"
#include "kernels/pool2d.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/kernels/gpu/special_values.h"
#include "tests/support/reference/elementwise.h"

namespace convoy::testing {
namespace {

GPU_CASE(SpecialValues, EveryFunctionOfOneOperand) {
  struct {
    UnaryFn fn;
    double alpha = 0, beta = 0;
  } const functions[] = {{UnaryFn::relu},
                         {UnaryFn::relu6},
                         {UnaryFn::leaky_relu, 0.25},
                         {UnaryFn::sigmoid},
                         {UnaryFn::tanh},
                         {UnaryFn::gelu},
                         {UnaryFn::gelu_tanh},
                         {UnaryFn::silu},
                         {UnaryFn::hardswish},
                         {UnaryFn::hardsigmoid},
                         {UnaryFn::exp},
                         {UnaryFn::log},
                         {UnaryFn::sqrt},
                         {UnaryFn::clamp, -2, 1},
                         {UnaryFn::neg},
                         {UnaryFn::square},
                         {UnaryFn::pow, 2.5},
                         {UnaryFn::pow, -1},
                         {UnaryFn::affine, -1.5, 0.25},
                         {UnaryFn::reciprocal, 2.5}};
  for_each_dtype([&](DType dtype) {
    const std::vector<double> x = specials(dtype);
    const FencedArray device_x(dtype, x), y(dtype, std::ssize(x));
    for (const auto& f : functions) {
      std::vector<double> expected;
      for (const double v : x) {
        expected.push_back(std::isnan(v) ? v : reference::unary(f.fn, v, f.alpha, f.beta));
      }
      run_on_device(Unary{f.fn, std::ssize(x), device_x.data(), y.data(), dtype, f.alpha, f.beta});
      expect_special(y, expected, name(f.fn));
    }
  });
}

GPU_CASE(SpecialValues, EveryPairOfOperands) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> x = specials(dtype);
    const std::int64_t n = std::ssize(x);
    const FencedArray device_x(dtype, x), y(dtype, n * n);
    for (const BinaryFn fn : {BinaryFn::add, BinaryFn::sub, BinaryFn::mul, BinaryFn::div}) {
      std::vector<double> expected;
      for (const double a : x) {
        for (const double b : x) {
          expected.push_back(fn == BinaryFn::add   ? a + b
                             : fn == BinaryFn::sub ? a - b
                             : fn == BinaryFn::mul ? a * b
                                                   : a / b);
        }
      }
      run_on_device(
          Binary{fn, {n, n}, {1, 0}, {0, 1}, device_x.data(), device_x.data(), y.data(), dtype});
      expect_special(y, expected, name(fn));
    }
  });
}

// ---- over rows and columns: a column, or a row, for each value among ones ----

constexpr std::int64_t kTerms = 5;

// [kTerms, values]: one special value each, and ones.
std::vector<double> among_ones(const std::vector<double>& values) {
  std::vector<double> x(static_cast<std::size_t>(kTerms) * values.size(), 1.0);
  std::copy(values.begin(), values.end(), x.begin() + 2 * std::ssize(values));
  return x;
}
std::vector<double> transposed(const std::vector<double>& x, std::int64_t rows) {
  std::vector<double> result;
  const std::int64_t columns = std::ssize(x) / rows;
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      result.push_back(x[static_cast<std::size_t>(r * columns + c)]);
    }
  }
  return result;
}

GPU_CASE(SpecialValues, SumsAndMaxima) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype), x = among_ones(values);
    const std::int64_t n = std::ssize(values);
    const FencedArray columns(dtype, x), rows(dtype, transposed(x, kTerms)), y(dtype, n);
    std::vector<double> sums, largest;
    for (const double v : values) {
      sums.push_back(v + kTerms - 1);
      largest.push_back(std::isnan(v) ? v : std::max(v, 1.0));
    }
    run_on_device(ReduceSum{{kTerms, n}, {n, 1}, 1, columns.data(), y.data(), dtype});
    expect_special(y, sums, "sum of a column");
    run_on_device(ReduceSum{{n, kTerms}, {kTerms, 1}, 2, rows.data(), y.data(), dtype});
    expect_special(y, sums, "sum of a row");
    run_on_device(ReduceMax{{kTerms, n}, {n, 1}, 1, columns.data(), y.data(), nullptr, dtype});
    expect_special(y, largest, "max of a column");
    run_on_device(ReduceMax{{n, kTerms}, {kTerms, 1}, 2, rows.data(), y.data(), nullptr, dtype});
    expect_special(y, largest, "max of a row");
    // Denormals are numbers, and of equal zeros the first counts, sign and all.
    const double tiny = smallest(dtype);
    const FencedArray small(dtype, std::vector<double>{-tiny, -0.0, 0.0, -tiny});
    const FencedArray one(dtype, 1);
    run_on_device(ReduceMax{{4}, {1}, 1, small.data(), one.data(), nullptr, dtype});
    expect_special(one, {-0.0}, "max of zeros");
    run_on_device(ReduceSum{{4}, {1}, 1, small.data(), one.data(), dtype});
    expect_equal(one, {-2 * tiny}, "sum of denormals");
  });
}

// What is not finite makes its own column NaN and leaves the others alone; columns of one value, of
// any size, have no variance, and what is left of them is the bias.
GPU_CASE(SpecialValues, BatchNorm) {
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

// Of what is dropped nothing is left; what is kept is multiplied, by 1 at least.
GPU_CASE(SpecialValues, Dropout) {
  for_each_dtype([](DType dtype) {
    const DeviceValues<StepState> state(std::vector<StepState>(1));
    const std::vector<double> x = specials(dtype);
    const std::int64_t n = std::ssize(x);
    const FencedArray device_x(dtype, x), y(dtype, n);
    Dropout op{n, device_x.data(), y.data(), {.seed = 1}, state.data(), 0, dtype};
    run_on_device(op);
    expect_special(y, x, "all kept");
    op.p = 1;
    run_on_device(op);
    expect_special(y, std::vector<double>(x.size(), 0.0), "all dropped");
  });
}

// A variance of infinity lets nothing through, one of 0 what eps lets through.
GPU_CASE(SpecialValues, LinesOfANorm) {
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
GPU_CASE(SpecialValues, NormAct) {
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

GPU_CASE(SpecialValues, LayerNorm) {
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

GPU_CASE(SpecialValues, Softmax) {
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
GPU_CASE(SpecialValues, CrossEntropy) {
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
GPU_CASE(SpecialValues, TopKCount) {
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

GPU_CASE(SpecialValues, PoolingAndResizing) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    const std::vector<double> x = [&] {  // [1, 2, 2, n]
      std::vector<double> all = among_ones(values);
      all.resize(4 * values.size());
      return all;
    }();
    const FencedArray device_x(dtype, x), y(dtype, n), large(dtype, 16 * n);
    const Pool2dGeometry g = pool2d_geometry("pool2d", {1, 2, 2, n}, {.kernel_size = {2, 2}});
    std::vector<double> largest, mean, repeated;
    for (const double v : values) {
      largest.push_back(std::isnan(v) ? v : std::max(v, 1.0));
      mean.push_back((v + 3) / 4);
    }
    run_on_device(MaxPool2dForward{g, device_x.data(), y.data(), nullptr, dtype});
    expect_special(y, largest, "max_pool2d");
    run_on_device(AvgPool2dForward{g, device_x.data(), y.data(), dtype});
    expect_special(y, mean, "avg_pool2d");
    for (int p = 0; p < 16; ++p) {
      const auto from = x.begin() + (p / 8 * 2 + p % 4 / 2) * n;
      repeated.insert(repeated.end(), from, from + n);
    }
    run_on_device(UpsampleForward{upsample_geometry({1, 2, 2, n}, {.size = {4, 4}}),
                                  device_x.data(), large.data(), dtype});
    expect_special(large, repeated, "nearest");
  });
}

}  // namespace
}  // namespace convoy::testing
