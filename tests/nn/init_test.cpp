// SPDX-License-Identifier: MIT
#include "nn/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace convoy::nn {
namespace {

const Shape kConv{64, 3, 5, 32};  // fan in 480, fan out 960
const Shape kLinear{10, 40};

TEST(Init, FansCountTaps) {
  EXPECT_EQ(fan_of(kConv).in, 480);
  EXPECT_EQ(fan_of(kConv).out, 960);
  EXPECT_EQ(fan_of(kLinear).in, 40);
  EXPECT_EQ(fan_of(kLinear).out, 10);
  EXPECT_EQ(fan_of({64, 3, 3, 1}).in, 9);  // depthwise
  EXPECT_THROW(fan_of({3}), Error);
}

TEST(Init, Formulas) {
  EXPECT_DOUBLE_EQ(leaky_relu_gain(std::sqrt(5)), 1 / std::sqrt(3));
  EXPECT_DOUBLE_EQ(kaiming_uniform(kConv).b, std::sqrt(6.0 / 480));
  EXPECT_DOUBLE_EQ(kaiming_uniform(kConv).a, -std::sqrt(6.0 / 480));
  EXPECT_DOUBLE_EQ(kaiming_normal(kConv, kReluGain, FanMode::fan_out).b, std::sqrt(2.0 / 960));
  EXPECT_DOUBLE_EQ(xavier_uniform(kLinear).b, std::sqrt(6.0 / 50));
  EXPECT_DOUBLE_EQ(xavier_normal(kLinear, 2).b, 2 * std::sqrt(2.0 / 50));
  EXPECT_DOUBLE_EQ(default_init(kLinear).b, 1 / std::sqrt(40));
  EXPECT_DOUBLE_EQ(default_init(kConv).b, kaiming_uniform(kConv, leaky_relu_gain(std::sqrt(5))).b);
}

std::vector<double> drawn(const Init& init, std::uint64_t seed = 3) {
  const Tensor t = zeros({100'000}, {.dtype = DType::f64});
  fill(t, init, {seed, 5});
  return to_vector<double>(t);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance(const std::vector<double>& values) {
  const double m = mean(values);
  double sum = 0;
  for (const double v : values) sum += (v - m) * (v - m);
  return sum / static_cast<double>(values.size());
}

TEST(Init, Distributions) {
  const auto uniform = drawn(Init::uniform(-2, 4));
  EXPECT_NEAR(mean(uniform), 1, 0.03);
  EXPECT_NEAR(variance(uniform), 3, 0.05);
  EXPECT_GE(*std::min_element(uniform.begin(), uniform.end()), -2);
  EXPECT_LT(*std::max_element(uniform.begin(), uniform.end()), 4);
  const auto normal = drawn(Init::normal(1, 2));
  EXPECT_NEAR(mean(normal), 1, 0.03);
  EXPECT_NEAR(variance(normal), 4, 0.08);
  EXPECT_EQ(drawn(Init::constant(7))[99'999], 7);
}

// Cut at one standard deviation the variance is 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911.
TEST(Init, TruncatedNormal) {
  const auto cut = drawn(Init::trunc_normal(0, 1, -1, 1));
  EXPECT_NEAR(mean(cut), 0, 0.01);
  EXPECT_NEAR(variance(cut), 0.29113, 0.004);
  EXPECT_LE(*std::max_element(cut.begin(), cut.end()), 1);
  EXPECT_GE(*std::min_element(cut.begin(), cut.end()), -1);
  const auto wide = drawn(Init::trunc_normal(0, 0.02));
  EXPECT_NEAR(std::sqrt(variance(wide)), 0.02, 2e-4);
}

TEST(Init, SameKeySameValues) {
  EXPECT_EQ(drawn(Init::normal(0, 1)), drawn(Init::normal(0, 1)));
  EXPECT_EQ(drawn(Init::trunc_normal(0, 1)), drawn(Init::trunc_normal(0, 1)));
  EXPECT_NE(drawn(Init::normal(0, 1)), drawn(Init::normal(0, 1), 4));
}

}  // namespace
}  // namespace convoy::nn
