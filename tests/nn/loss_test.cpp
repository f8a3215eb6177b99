// SPDX-License-Identifier: MIT
#include "nn/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "runtime/ops/elementwise.h"
#include "runtime/ops/reduce.h"

namespace convoy::nn {
namespace {

struct Loss {
  const char* name;
  std::function<Tensor(const Tensor&, const Tensor&, Reduction)> f;
  double value;                  // PyTorch 2.15, double precision
  std::vector<double> gradient;  // likewise, of the first operand
};

const std::vector<double> kX{-40, -1.5, -0.3, 0, 0.7, 2.5, 90}, kY{0, 1, 0.2, 0, 1, 0, 1};

const std::vector<Loss> kLosses{
    {"mse",
     mse_loss,
     1361.9771428571428,
     {-11.42857143, -0.7142857143, -0.1428571429, 0, -0.08571428571, 0.7142857143, 25.42857143}},
    {"l1",
     l1_loss,
     19.25714285714286,
     {-0.1428571429, -0.1428571429, -0.1428571429, 0, -0.1428571429, 0.1428571429, 0.1428571429}},
    {"huber",
     [](const Tensor& x, const Tensor& y, Reduction r) { return huber_loss(x, y, 1.25, r); },
     23.506428571428575,
     {-0.1785714286, -0.1785714286, -0.07142857143, 0, -0.04285714286, 0.1785714286, 0.1785714286}},
    {"bce_with_logits",
     bce_with_logits,
     0.8558559265984618,
     {6.069077508e-19, -0.1167963537, 0.0322224976, 0.07142857143, -0.04740174683, 0.13202026, 0}}};

TEST(Loss, ValuesAndGradientsAreThoseOfPyTorch) {
  for (const Loss& loss : kLosses) {
    Tensor x = from_vector(kX, {7});
    x.set_requires_grad(true);
    const Tensor value = loss.f(x, from_vector(kY, {7}), Reduction::mean);
    EXPECT_NEAR(value.item(), loss.value, 1e-12 * loss.value) << loss.name;
    value.backward();
    const auto gradient = to_vector<double>(x.grad());
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      EXPECT_NEAR(gradient[i], loss.gradient[i], 1e-8) << loss.name << " " << i;
    }
  }
}

TEST(Loss, Reductions) {
  for (const Loss& loss : kLosses) {
    const Tensor x = from_vector(kX, {7}), y = from_vector(kY, {7});
    const Tensor each = loss.f(x, y, Reduction::none);
    EXPECT_EQ(each.shape(), (Shape{7}));
    EXPECT_NEAR(sum(each).item(), loss.f(x, y, Reduction::sum).item(), 1e-9) << loss.name;
    EXPECT_NEAR(sum(each).item() / 7, loss.value, 1e-9) << loss.name;
    const Tensor nothing = zeros({0, 3}, {.dtype = DType::f64});
    EXPECT_EQ(loss.f(nothing, nothing, Reduction::sum).item(), 0) << loss.name;
  }
}

TEST(Loss, OperandsBroadcast) {
  const Tensor x = from_vector<double>({1, 2, 3, 4}, {2, 2}), y = from_vector<double>({1, 2}, {2});
  EXPECT_EQ(mse_loss(x, y).item(), 2);
  EXPECT_THROW(mse_loss(x, from_vector<double>({1, 2, 3}, {3})), Error);
}

TEST(Loss, HugeLogitsStayFinite) {
  const Tensor logits = from_vector<float>({-1e4f, 1e4f}, {2}), y = from_vector<float>({1, 0}, {2});
  EXPECT_FLOAT_EQ(static_cast<float>(bce_with_logits(logits, y).item()), 1e4f);
}

TEST(Loss, HuberNeedsAPositiveDelta) {
  const Tensor x = from_vector(kX, {7});
  EXPECT_THROW(huber_loss(x, x, 0), Error);
}

}  // namespace
}  // namespace convoy::nn
