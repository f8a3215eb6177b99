// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

#include <cmath>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/elementwise.h"

namespace convoy::testing {
namespace {

struct Case {
  UnaryFn fn;
  double low, high;  // where x is drawn
  double alpha = 0, beta = 0;
};
const Case kCases[] = {
    {UnaryFn::relu, -2, 2},
    {UnaryFn::relu6, -3, 9},
    {UnaryFn::leaky_relu, -2, 2, 0.01},
    {UnaryFn::sigmoid, -20, 20},
    {UnaryFn::tanh, -11, 11},
    {UnaryFn::tanh, -0.1, 0.1},
    {UnaryFn::gelu, -6, 6},
    {UnaryFn::gelu_tanh, -6, 6},
    {UnaryFn::silu, -20, 20},
    {UnaryFn::hardswish, -5, 5},
    {UnaryFn::hardsigmoid, -5, 5},
    {UnaryFn::exp, -20, 4},
    {UnaryFn::log, 0.01, 20},
    {UnaryFn::sqrt, 0.1, 50},
    {UnaryFn::clamp, -2, 2, -0.5, 0.75},
    {UnaryFn::neg, -2, 2},
    {UnaryFn::square, -2, 2},
    {UnaryFn::pow, 0.2, 3, 2.5},
    {UnaryFn::affine, -2, 2, -1.5, 0.25},
    {UnaryFn::reciprocal, 0.3, 4, 2.5},
};

// Away from the quarters, where the kinks lie; a bf16 between 2 and 8 is within 1/64 of its number.
std::vector<double> inputs(const Case& c, DType dtype, std::int64_t count) {
  std::vector<double> x = random_doubles(DType::f64, count, 1);
  for (double& v : x) {
    v = c.low + (c.high - c.low) * (v + 1) / 2;
    if (std::abs(4 * v - std::round(4 * v)) < 0.1) v += 0.05;
  }
  return rounded(dtype, x);
}

void check_forward(const Case& c, DType dtype, std::int64_t count, std::int64_t shift) {
  const std::vector<double> values = inputs(c, dtype, count);
  const FencedArray x(dtype, values, shift), y(dtype, count, shift);
  std::vector<double> expected;
  for (const double v : values) expected.push_back(reference::unary(c.fn, v, c.alpha, c.beta));
  const Unary op{c.fn, count, x.data(), y.data(), dtype, c.alpha, c.beta};
  run_on_device(op);
  expect_close(y, expected, {}, name(c.fn));

  const FencedArray in_place(dtype, values, shift);
  run_on_device(Unary{c.fn, count, in_place.data(), in_place.data(), dtype, c.alpha, c.beta});
  expect_equal(in_place, y.values(), "in place");
}

void check_backward(const Case& c, DType dtype, std::int64_t count, std::int64_t shift) {
  std::vector<double> saved = inputs(c, dtype, count);
  const std::vector<double> dy = random_doubles(dtype, count, 2);
  std::vector<double> expected, expected_sum;
  double largest = 1;
  for (std::size_t i = 0; i < saved.size(); ++i) {
    double slope;
    if (gradient_reads_output(c.fn)) {
      saved[i] = rounded(dtype, {reference::unary(c.fn, saved[i], c.alpha, c.beta)})[0];
      slope = reference::unary_slope_of_output(c.fn, saved[i]);
    } else {
      slope = reference::unary_slope(c.fn, saved[i], c.alpha, c.beta);
    }
    expected.push_back(slope * dy[i]);
    expected_sum.push_back(slope * dy[i] + 0.5);
    largest = std::max(largest, std::abs(slope));
    // x (1 - sigmoid(x)): the difference is rounded as 1 is.
    if (c.fn == UnaryFn::silu) largest = std::max(largest, std::abs(saved[i]));
  }
  // The reference slope may be a difference quotient, good to 1e-11.
  const Bound bound{.scale = largest};
  const FencedArray s(dtype, saved, shift), g(dtype, dy, shift), dx(dtype, count, shift);
  UnaryBackward op{c.fn, count, s.data(), g.data(), dx.data(), dtype, c.alpha, c.beta, false};
  if (gradient_is_constant(c.fn)) op.saved = nullptr;
  run_on_device(op);
  expect_close(dx, expected, bound, std::string(name(c.fn)) + " backward");

  const FencedArray sum(dtype, std::vector<double>(saved.size(), 0.5), shift);
  op.dx = sum.data();
  op.accumulate = true;
  run_on_device(op);
  expect_close(sum, expected_sum, bound, std::string(name(c.fn)) + " accumulate");

  op.dx = g.data();
  op.accumulate = false;
  run_on_device(op);
  expect_equal(g, dx.values(), "backward in place");
}

GPU_CASE(UnaryKernel, EveryFunctionAgreesWithItsDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      check_forward(c, dtype, 257, kAligned);
      check_backward(c, dtype, 257, kAligned);
    }
  });
}

GPU_CASE(UnaryKernel, AnySizeAndAlignment) {
  for_each_dtype([](DType dtype) {
    for (const std::int64_t count : {0, 1, 7, 8, 9, 255, 256, 1000}) {
      for (const std::int64_t shift : {kAligned, kMisaligned}) {
        check_forward({UnaryFn::affine, -2, 2, -1.5, 0.25}, dtype, count, shift);
        check_backward({UnaryFn::square, -2, 2}, dtype, count, shift);
      }
    }
  });
}

GPU_CASE(UnaryKernel, OneMisalignedOperandIsEnough) {
  const std::vector<double> values = random_doubles(DType::f16, 100, 1);
  for (const std::int64_t shift : {kAligned, kMisaligned}) {
    const FencedArray x(DType::f16, values, shift), y(DType::f16, 100, 1 - shift);
    run_on_device(Unary{UnaryFn::affine, 100, x.data(), y.data(), DType::f16, 1});
    expect_equal(y, values, "copied");
  }
}

// What a function makes of one value, in each place of a pack and beside one.
std::vector<double> values_of(UnaryFn fn, DType dtype, double x, double alpha = 0,
                              double beta = 0) {
  const FencedArray a(dtype, std::vector<double>(9, x));
  run_on_device(Unary{fn, 9, a.data(), a.data(), dtype, alpha, beta});
  return a.values();
}
void expect_value(UnaryFn fn, DType dtype, double x, double expected, double alpha = 0,
                  double beta = 0) {
  for (const double y : values_of(fn, dtype, x, alpha, beta)) {
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(y)
                                     : y == expected && std::signbit(y) == std::signbit(expected))
        << name(fn) << "(" << x << ") in " << name(dtype) << " is " << y << ", expected "
        << expected;
  }
}

GPU_CASE(UnaryKernel, NaNStaysNaN) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) expect_value(c.fn, dtype, NAN, NAN, c.alpha, c.beta);
  });
}

GPU_CASE(UnaryKernel, SpecialValues) {
  for_each_dtype([](DType dtype) {
    const double tiny = dtype == DType::f16 ? 0x1p-24 : dtype == DType::bf16 ? 0x1p-133 : 0x1p-149;
    const double largest = dtype == DType::f16    ? 65504
                           : dtype == DType::bf16 ? 0x1.fep127
                                                  : 0x1.fffffep127;
    for (const double v : {0.0, -0.0, tiny, -tiny, largest, -largest, HUGE_VAL, -HUGE_VAL}) {
      expect_value(UnaryFn::neg, dtype, v, -v);
      expect_value(UnaryFn::affine, dtype, v, v, 1, std::copysign(0.0, v));
      expect_value(UnaryFn::relu, dtype, v, v < 0 ? 0.0 : v);
      expect_value(UnaryFn::relu6, dtype, v, v < 0 ? 0.0 : std::min(v, 6.0));
      expect_value(UnaryFn::clamp, dtype, v, std::clamp(v, -2.0, 1.0), -2, 1);
      expect_value(UnaryFn::leaky_relu, dtype, v, v, 1);
      expect_value(UnaryFn::tanh, dtype, v, std::abs(v) > 1 ? std::copysign(1, v) : v);
      expect_value(UnaryFn::sigmoid, dtype, v, std::abs(v) > 1 ? (v > 0 ? 1 : 0) : 0.5);
    }
    const double inf = HUGE_VAL;
    expect_value(UnaryFn::exp, dtype, inf, inf);
    expect_value(UnaryFn::exp, dtype, 89, inf);
    expect_value(UnaryFn::exp, dtype, -inf, 0);
    expect_value(UnaryFn::exp, dtype, -200, 0);
    expect_value(UnaryFn::exp, dtype, 0, 1);
    expect_value(UnaryFn::log, dtype, 0, -inf);
    expect_value(UnaryFn::log, dtype, 1, 0);
    expect_value(UnaryFn::log, dtype, inf, inf);
    expect_value(UnaryFn::log, dtype, -1, NAN);
    expect_value(UnaryFn::sqrt, dtype, -1, NAN);
    expect_value(UnaryFn::sqrt, dtype, inf, inf);
    expect_value(UnaryFn::gelu, dtype, largest, largest);
    expect_value(UnaryFn::gelu, dtype, -largest, -0.0);
    expect_value(UnaryFn::reciprocal, dtype, 0, inf, 1);
    expect_value(UnaryFn::reciprocal, dtype, -inf, -0.0, 1);
    expect_value(UnaryFn::square, dtype, largest, inf);
    expect_value(UnaryFn::square, dtype, tiny, 0);
  });
}

GPU_CASE(UnaryKernel, Kinks) {
  // Derivatives at the kinks, as PyTorch takes them.
  const auto slope = [](UnaryFn fn, double saved, double alpha = 0, double beta = 0) {
    const FencedArray s(DType::f32, std::vector<double>{saved}), dx(DType::f32, 1);
    const FencedArray one(DType::f32, std::vector<double>{1});
    run_on_device(UnaryBackward{fn, 1, s.data(), one.data(), dx.data(), DType::f32, alpha, beta});
    return dx.values()[0];
  };
  EXPECT_EQ(slope(UnaryFn::relu, 0), 0);
  EXPECT_EQ(slope(UnaryFn::relu, NAN), 1);  // the gradient passes where the value is NaN
  EXPECT_EQ(slope(UnaryFn::relu6, 0), 0);
  EXPECT_EQ(slope(UnaryFn::relu6, 6), 0);
  EXPECT_EQ(slope(UnaryFn::leaky_relu, 0, 0.25), 0.25);
  EXPECT_EQ(slope(UnaryFn::hardswish, -3), 0);
  EXPECT_EQ(slope(UnaryFn::hardswish, 3), 1);
  EXPECT_EQ(slope(UnaryFn::hardsigmoid, -3), 0);
  EXPECT_EQ(slope(UnaryFn::hardsigmoid, 3), 0);
  EXPECT_EQ(slope(UnaryFn::clamp, -1, -1, 2), 1);
  EXPECT_EQ(slope(UnaryFn::clamp, 2, -1, 2), 1);
  EXPECT_EQ(slope(UnaryFn::clamp, 2.5, -1, 2), 0);
  EXPECT_EQ(slope(UnaryFn::pow, 0, 0), 0);
}

GPU_CASE(UnaryKernel, OtherDTypesAreRefused) {
  for (const DType dtype : {DType::f64, DType::i32, DType::u8}) {
    EXPECT_THROW(run_on_device(Unary{UnaryFn::relu, 1, nullptr, nullptr, dtype}), Error);
  }
}

}  // namespace
}  // namespace convoy::testing
