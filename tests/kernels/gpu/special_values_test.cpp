// SPDX-License-Identifier: MIT
// Zeros of both signs, denormals, infinities, NaN and f16's largest value through the kernels that
// compute: what each op's header says, which is what PyTorch does. (Casts: CastKernel in
// copy_test.cpp; products: gemm_test.cpp and conv2d_test.cpp.)
#include <algorithm>
#include <cmath>

#include "kernels/batch_norm.h"
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/optimizer.h"
#include "kernels/pool2d.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/support/fenced_array.h"
#include "tests/support/reference/elementwise.h"

namespace convoy::testing {
namespace {

constexpr double kInf = HUGE_VAL, kLarge = 65504;

double smallest(DType dtype) {
  return dtype == DType::f16 ? 0x1p-24 : dtype == DType::bf16 ? 0x1p-133 : 0x1p-149;
}
// 65504 in bf16 is 65536: all of them as the dtype holds them.
std::vector<double> specials(DType dtype) {
  const double tiny = smallest(dtype);
  return rounded(dtype, {0, -0.0, tiny, -tiny, kInf, -kInf, NAN, kLarge, -kLarge});
}

// Rounded to the dtype, within some roundings of f32; NaN, infinities and signs of zeros as they
// are.
void expect_special(const FencedArray& found, std::vector<double> expected,
                    const std::string& what) {
  expected = rounded(found.dtype(), expected);
  const std::vector<double> values = found.values();
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    SCOPED_TRACE(what + ", element " + std::to_string(i));
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << values[i];
    } else if (expected[i] == 0 || std::isinf(expected[i])) {
      EXPECT_EQ(values[i], expected[i]);
      EXPECT_EQ(std::signbit(values[i]), std::signbit(expected[i]));
    } else {
      const double limit =
          (8 * epsilon(DType::f32) + epsilon(found.dtype())) * std::abs(expected[i]);
      EXPECT_NEAR(values[i], expected[i], limit + smallest(found.dtype()));
    }
  }
}

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

// A gradient of any size passes where the derivative is 1, and nothing of it where that is a
// constant 0; a derivative that is computed multiplies, and 0 * inf is NaN.
GPU_CASE(SpecialValues, GradientsOfOneOperand) {
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

// ---- optimizers ----

// Each element by itself; a gradient of zero leaves a finite parameter as it is, sign and denormals
// included, and one that is not a number makes it NaN.
GPU_CASE(SpecialValues, Optimizers) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    StepState step;
    step.learning_rate[0] = 0.5f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const std::vector<double> zeros(values.size(), 0.0), ones(values.size(), 1.0);
    std::vector<double> kept = values;
    for (double& v : kept) v = std::isfinite(v) ? v : NAN;
    {
      const FencedArray p(dtype, values), g(dtype, zeros);
      run_on_device(SgdStep{n, p.data(), g.data(), nullptr, state.data(), 0, dtype});
      expect_equal(p, kept, "sgd without a gradient");
    }
    {
      const FencedArray p(dtype, values), g(dtype, zeros), m(dtype, zeros), v(dtype, zeros);
      run_on_device(AdamWStep{
          n, p.data(), g.data(), m.data(), v.data(), state.data(), 0, dtype, {.weight_decay = 0}});
      expect_equal(p, kept, "adamw without a gradient");
    }
    {
      const FencedArray p(dtype, ones), g(dtype, values);
      run_on_device(SgdStep{n, p.data(), g.data(), nullptr, state.data(), 0, dtype});
      std::vector<double> expected;
      for (const double v : values) expected.push_back(1 - 0.5 * v);
      expect_special(p, expected, "sgd");
    }
    {
      const FencedArray p(dtype, ones), g(dtype, values), m(dtype, zeros), v(dtype, zeros);
      run_on_device(AdamWStep{
          n, p.data(), g.data(), m.data(), v.data(), state.data(), 0, dtype, {.weight_decay = 0}});
      const std::vector<double> found = p.values();
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(std::isfinite(found[i]), std::isfinite(values[i])) << "adamw, " << values[i];
      }
    }
  });
}

}  // namespace
}  // namespace convoy::testing
