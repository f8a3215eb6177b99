// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/elementwise.h"

namespace convoy {
namespace {

struct Case {
  UnaryFn fn;
  double low, high;  // where x is drawn
  double alpha = 0, beta = 0;
};
void PrintTo(const Case& c, std::ostream* out) { *out << name(c.fn); }

class UnaryTest : public ::testing::TestWithParam<Case> {};

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

template <class T>
std::vector<T> inputs(const Case& c, std::int64_t count, std::uint32_t seed) {
  std::vector<T> x = testing::random_values<T>(count, seed);
  for (T& v : x) {
    double at = c.low + (c.high - c.low) * (static_cast<double>(v) + 1) / 2;
    if (std::abs(4 * at - std::round(4 * at)) < 0.02) at += 0.01;  // kinks lie at quarters
    v = static_cast<T>(at);
  }
  return x;
}

template <class T>
std::vector<T> forward(const Case& c, const std::vector<T>& x) {
  std::vector<T> y(x.size(), T(-77));
  run(Unary{c.fn, std::ssize(x), x.data(), y.data(), kDType<T>, c.alpha, c.beta}, {}, nullptr, {});
  return y;
}

template <class T>
void check(const Case& c, std::int64_t count) {
  const std::string what = fmt::format("{} {} of {}", c.fn, sizeof(T), count);
  const std::vector<T> x = inputs<T>(c, count, 1), dy = testing::random_values<T>(count, 2);
  const std::vector<T> y = forward(c, x);
  std::vector<double> expected(x.size()), slope(x.size());
  double largest = 1;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected[i] = reference::unary(c.fn, x[i], c.alpha, c.beta);
    slope[i] = reference::unary_slope(c.fn, x[i], c.alpha, c.beta) * dy[i];
    largest = std::max({largest, std::abs(expected[i]), std::abs(slope[i])});
  }
  testing::expect_close(y, expected, {}, what);

  const std::vector<T>& saved = gradient_reads_output(c.fn) ? y : x;
  std::vector<T> dx(x.size(), T(NAN));  // overwriting must not read what was there
  UnaryBackward op{c.fn,      count,   saved.data(), dy.data(), dx.data(),
                   kDType<T>, c.alpha, c.beta,       false};
  if (gradient_is_constant(c.fn)) op.saved = nullptr;
  run(op, {}, nullptr, {});
  // The reference slope is a difference quotient.
  const double room = std::max<double>(std::numeric_limits<T>::epsilon(), 1e-11) /
                      std::numeric_limits<T>::epsilon();
  testing::expect_close(dx, slope, {.scale = largest, .factor = 4 * room}, what + " backward");

  std::vector<T> sum(x.size(), T(0.5));
  op.dx = sum.data();
  op.accumulate = true;
  run(op, {}, nullptr, {});
  std::vector<double> expected_sum = testing::to_double(dx);
  for (double& v : expected_sum) v += 0.5;
  testing::expect_close(sum, expected_sum, {.scale = largest}, what + " accumulate");
}

TEST_P(UnaryTest, AgreesWithTheDefinition) {
  for (const std::int64_t count : {0, 1, 7, 31, 1009, 40009}) {
    check<float>(GetParam(), count);
    check<double>(GetParam(), count);
  }
}

TEST_P(UnaryTest, NaNStaysNaN) {
  EXPECT_TRUE(std::isnan(forward<float>(GetParam(), {NAN})[0]));
  EXPECT_TRUE(std::isnan(forward<double>(GetParam(), {NAN})[0]));
  const std::vector<float> many = forward<float>(GetParam(), std::vector<float>(19, NAN));
  for (const float v : many) EXPECT_TRUE(std::isnan(v));
}

TEST_P(UnaryTest, WorksInPlaceAndDoesNotDependOnPosition) {
  const std::vector<float> x = inputs<float>(GetParam(), 133, 3);
  std::vector<float> y = x;
  run(Unary{GetParam().fn, 133, y.data(), y.data(), DType::f32, GetParam().alpha, GetParam().beta},
      {}, nullptr, {});
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(y[i], forward<float>(GetParam(), {x[i]})[0]) << "element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, UnaryTest,
    ::testing::Values(Case{UnaryFn::relu, -2, 2}, Case{UnaryFn::relu6, -3, 9},
                      Case{UnaryFn::leaky_relu, -2, 2, 0.01}, Case{UnaryFn::sigmoid, -20, 20},
                      Case{UnaryFn::tanh, -11, 11}, Case{UnaryFn::tanh, -0.1, 0.1},
                      Case{UnaryFn::gelu, -6, 6}, Case{UnaryFn::gelu_tanh, -6, 6},
                      Case{UnaryFn::silu, -20, 20}, Case{UnaryFn::hardswish, -5, 5},
                      Case{UnaryFn::hardsigmoid, -5, 5}, Case{UnaryFn::exp, -20, 4},
                      Case{UnaryFn::log, 0.01, 20}, Case{UnaryFn::sqrt, 0.1, 50},
                      Case{UnaryFn::clamp, -2, 2, -0.5, 0.75}, Case{UnaryFn::neg, -2, 2},
                      Case{UnaryFn::square, -2, 2}, Case{UnaryFn::pow, 0.2, 3, 2.5},
                      Case{UnaryFn::affine, -2, 2, -1.5, 0.25},
                      Case{UnaryFn::reciprocal, 0.3, 4, 2.5}),
    [](const auto& test) { return fmt::format("{}_{}", test.param.fn, test.index); });

TEST(Unary, Kinks) {
  // Derivatives at the kinks, as PyTorch takes them.
  const auto slope = [](UnaryFn fn, float saved, double alpha = 0, double beta = 0) {
    const float one = 1;
    float dx = NAN;
    run(UnaryBackward{fn, 1, &saved, &one, &dx, DType::f32, alpha, beta}, {}, nullptr, {});
    return dx;
  };
  EXPECT_EQ(slope(UnaryFn::relu, 0), 0);
  EXPECT_EQ(slope(UnaryFn::relu6, 6), 0);
  EXPECT_EQ(slope(UnaryFn::leaky_relu, 0, 0.25), 0.25f);
  EXPECT_EQ(slope(UnaryFn::hardswish, -3), 0);
  EXPECT_EQ(slope(UnaryFn::hardswish, 3), 1);
  EXPECT_EQ(slope(UnaryFn::hardsigmoid, 3), 0);
  EXPECT_EQ(slope(UnaryFn::clamp, -1, -1, 2), 1);
  EXPECT_EQ(slope(UnaryFn::clamp, 2.5f, -1, 2), 0);
  EXPECT_EQ(slope(UnaryFn::relu, NAN), 1);  // the gradient passes where the value is NaN
}

TEST(Unary, Extremes) {
  const auto value = [](UnaryFn fn, float x) {
    run(Unary{fn, 1, &x, &x, DType::f32}, {}, nullptr, {});
    return x;
  };
  const float inf = INFINITY;
  EXPECT_EQ(value(UnaryFn::exp, inf), inf);
  EXPECT_EQ(value(UnaryFn::exp, 88.8f), inf);
  EXPECT_FLOAT_EQ(value(UnaryFn::exp, 88.72f), std::exp(88.72f));
  EXPECT_EQ(value(UnaryFn::exp, -inf), 0);
  EXPECT_EQ(value(UnaryFn::exp, -200), 0);
  EXPECT_NEAR(value(UnaryFn::exp, -95), std::exp(-95.0f), 3e-45);  // subnormal
  EXPECT_EQ(value(UnaryFn::exp, 0), 1);
  EXPECT_EQ(value(UnaryFn::log, 0), -inf);
  EXPECT_EQ(value(UnaryFn::log, 1), 0);
  EXPECT_EQ(value(UnaryFn::log, inf), inf);
  EXPECT_TRUE(std::isnan(value(UnaryFn::log, -1)));
  EXPECT_FLOAT_EQ(value(UnaryFn::log, 1e-42f), std::log(1e-42f));
  EXPECT_FLOAT_EQ(value(UnaryFn::log, 3e38f), std::log(3e38f));
  EXPECT_EQ(value(UnaryFn::tanh, -inf), -1);
  EXPECT_EQ(value(UnaryFn::sigmoid, inf), 1);
  EXPECT_EQ(value(UnaryFn::sigmoid, -inf), 0);
  EXPECT_EQ(value(UnaryFn::gelu, 1e30f), 1e30f);
  EXPECT_EQ(value(UnaryFn::gelu, -1e30f), 0);
  EXPECT_EQ(value(UnaryFn::relu, inf), inf);
  EXPECT_EQ(value(UnaryFn::relu, -inf), 0);
  EXPECT_TRUE(std::isnan(value(UnaryFn::sqrt, -1)));
}

TEST(Unary, OtherDTypesAreRefused) {
  float x = 0;
  EXPECT_THROW(run(Unary{UnaryFn::relu, 1, &x, &x, DType::i32}, {}, nullptr, {}), Error);
}

}  // namespace
}  // namespace convoy
