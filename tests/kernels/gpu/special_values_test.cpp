// SPDX-License-Identifier: MIT
// Zeros of both signs, denormals, infinities, NaN and f16's largest value through the kernels that
// compute: what each op's header says, which is what PyTorch does. Rows and columns have
// special_rows_test.cpp, gradients special_gradients_test.cpp, optimizers special_steps_test.cpp;
// tests/every_op.cmake knows where the rest is.
#include <algorithm>
#include <cmath>

#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/pool2d.h"
#include "kernels/reduce.h"
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
