// SPDX-License-Identifier: MIT
#include "runtime/ops/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "runtime/ops/view.h"
#include "tests/support/compare.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

using testing::random_values;

Tensor random_f64(const Shape& shape, std::uint32_t seed) {
  return from_vector(random_values<double>(shape.count(), seed), shape);
}

double inner(const Tensor& a, const Tensor& b) {
  const auto x = to_vector<double>(a), y = to_vector<double>(b);
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

TEST(Conv2dOp, AddsUpAHandMadeCase) {
  const Tensor x = from_vector<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const Tensor weight = from_vector<float>({1, 0, 0, -1}, {1, 2, 2, 1});
  const Tensor y = conv2d(x, weight, from_vector<float>({0.5f}, {1}));
  EXPECT_EQ(y.shape(), (Shape{1, 2, 2, 1}));
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{-3.5f, -3.5f, -3.5f, -3.5f}));
}

TEST(Conv2dOp, GradientsAreTheAdjointOfTheLinearMap) {
  const Shape xs{3, 11, 9, 12};
  for (const std::int64_t groups : {1, 3, 12}) {
    const Shape ws{24, 3, 2, 12 / groups};
    for (const Conv2dOptions& o :
         {Conv2dOptions{.groups = groups},
          Conv2dOptions{
              .stride = {2, 3}, .padding = {1, 2}, .dilation = {3, 2}, .groups = groups}}) {
      const Tensor x = random_f64(xs, 1).set_requires_grad(true);
      const Tensor weight = random_f64(ws, 2).set_requires_grad(true);
      const Tensor y = conv2d(x, weight, {}, o);
      const Tensor u = random_f64(y.shape(), 3);
      y.backward(u);
      // y is linear in x, so J x = y: <y, u> = <x, J^T u>; the same for the weight.
      const double forward = inner(y, u);
      EXPECT_NEAR(inner(x, x.grad()), forward, 1e-10 * (1 + std::abs(forward)));
      EXPECT_NEAR(inner(weight, weight.grad()), forward, 1e-10 * (1 + std::abs(forward)));
    }
  }
}

TEST(Conv2dOp, TwoUsesOfOneInputAddTheirGradients) {
  const Tensor x = random_f64({2, 5, 5, 3}, 1).set_requires_grad(true);
  const Tensor weight = random_f64({4, 3, 3, 3}, 2).set_requires_grad(true);
  const Tensor u = random_f64({2, 3, 3, 4}, 3);
  conv2d(x, weight).backward(u);
  const auto once_x = to_vector<double>(x.grad()), once_w = to_vector<double>(weight.grad());
  conv2d(x, weight).backward(u);
  const auto twice_x = to_vector<double>(x.grad()), twice_w = to_vector<double>(weight.grad());
  for (std::size_t i = 0; i < once_x.size(); ++i) EXPECT_NEAR(twice_x[i], 2 * once_x[i], 1e-12);
  for (std::size_t i = 0; i < once_w.size(); ++i) EXPECT_NEAR(twice_w[i], 2 * once_w[i], 1e-12);
}

TEST(Conv2dOp, WrongOperandsAreErrorsThatNameBoth) {
  const Tensor x = zeros({1, 4, 4, 3});
  EXPECT_THROW(conv2d(x, zeros({2, 3, 3, 4})), Error);
  EXPECT_THROW(conv2d(x, zeros({2, 3, 3, 3}), zeros({3})), Error);
  EXPECT_THROW(conv2d(x, zeros({2, 3, 3, 3}, {.dtype = DType::f64})), Error);
  EXPECT_THROW(conv2d(x, zeros({2, 3, 3, 3}), zeros({2}, {.dtype = DType::f64})), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(conv2d) {
  for (const std::int64_t stride : {1, 2}) {
    for (const std::int64_t padding : {0, 1, 2}) {
      for (const std::int64_t dilation : {1, 2}) {
        for (const std::int64_t groups : {1, 2, 4}) {  // 4: depthwise
          const Conv2dOptions o{.stride = {stride, 1},
                                .padding = {padding, 1},
                                .dilation = {1, dilation},
                                .groups = groups};
          g.check({g.random({1, 4, 3, 4}), g.random({4, 2, 2, 4 / groups}), g.random({4})},
                  [o](const Inputs& x) { return conv2d(x[0], x[1], x[2], o); });
        }
      }
    }
  }
  g.check({g.random({0, 3, 3, 2}), g.random({3, 1, 1, 2})},
          [](const Inputs& x) { return conv2d(x[0], x[1]); });
  g.check({g.random({1, 1, 1, 1}), g.random({1, 1, 1, 1}), g.random({1})},
          [](const Inputs& x) { return conv2d(x[0], x[1], x[2]); });
  // Operands that are views: the input's channels are not the fastest dimension in memory.
  g.check({g.noncontiguous({2, 3, 5, 2}), g.noncontiguous({3, 3, 1, 2})}, [](const Inputs& x) {
    return conv2d(x[0], x[1], {}, {.padding = {1, 0}});
  });
}

}  // namespace convoy
