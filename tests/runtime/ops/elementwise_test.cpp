// SPDX-License-Identifier: MIT
#include "runtime/ops/elementwise.h"

#include <gtest/gtest.h>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

Tensor numbers(const std::vector<float>& values) {
  return from_vector(values, {std::ssize(values)});
}

TEST(Elementwise, NumbersJoinByOperators) {
  const Tensor x = numbers({-2, 0, 4});
  EXPECT_EQ(to_vector<float>(2.0 * x + 1.0), (std::vector<float>{-3, 1, 9}));
  EXPECT_EQ(to_vector<float>(1.0 - x / 2.0), (std::vector<float>{2, 1, -1}));
  EXPECT_EQ(to_vector<float>(-x - 1.0), (std::vector<float>{1, -1, -5}));
  EXPECT_EQ(to_vector<float>(1.0 / numbers({2, -4})), (std::vector<float>{0.5f, -0.25f}));
}

TEST(Elementwise, ReadsAnyStrides) {
  const Tensor x = transpose(from_vector<float>({-1, 2, -3, 4, -5, 6}, {2, 3}), 0, 1);
  EXPECT_EQ(to_vector<float>(relu(x)), (std::vector<float>{0, 4, 2, 0, 0, 6}));
}

TEST(Elementwise, KeepsTheShapeAlsoWhenEmptyOrScalar) {
  EXPECT_EQ(relu(zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(sigmoid(full({}, 0)).item(), 0.5);
}

TEST(Elementwise, IntegersAreRefused) { EXPECT_THROW(relu(zeros({3}, {DType::i32})), Error); }

TEST(Elementwise, AnInPlaceWriteToASavedResultIsAnError) {
  Tensor x = numbers({1, 2});
  x.set_requires_grad(true);
  Tensor y = exp(x);
  y.detach().fill_(0);
  EXPECT_THROW(y.backward(full({2}, 1)), Error);
}

}  // namespace

using testing::Gradchecker;
using testing::Inputs;

// Values between `low` and `high`, no nearer to a kink (at whole numbers) than a fifth.
static Tensor away_from_kinks(Gradchecker& g, const Shape& shape, double low, double high) {
  const Tensor x = g.random(shape, low, high);
  for (std::int64_t i = 0; i < x.count(); ++i) {
    double& v = x.as<double>()[i];
    v = std::floor(v) + 0.2 + 0.6 * (v - std::floor(v));
  }
  return x;
}

static void check_unary(Gradchecker& g, UnaryFn fn, double low, double high, double alpha = 0,
                        double beta = 0) {
  const auto f = [=](const Inputs& x) { return unary(fn, x[0], alpha, beta); };
  for (const Shape& s : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{2, 3, 1, 5}}) {
    g.check({away_from_kinks(g, s, low, high)}, f);
  }
  const Tensor square = away_from_kinks(g, {5, 3}, low, high);
  g.check({transpose(square.detach(), 0, 1).set_requires_grad(true)}, f);
  g.check({slice(square.detach(), 1, 1, 3).set_requires_grad(true)}, f);
}

GRADCHECK(relu) { check_unary(g, UnaryFn::relu, -3, 3); }
GRADCHECK(relu6) { check_unary(g, UnaryFn::relu6, -3, 9); }
GRADCHECK(leaky_relu) { check_unary(g, UnaryFn::leaky_relu, -3, 3, 0.1); }
GRADCHECK(sigmoid) { check_unary(g, UnaryFn::sigmoid, -3, 3); }
GRADCHECK(tanh) { check_unary(g, UnaryFn::tanh, -2, 2); }
GRADCHECK(gelu) { check_unary(g, UnaryFn::gelu, -3, 3); }
GRADCHECK(gelu_tanh) { check_unary(g, UnaryFn::gelu_tanh, -3, 3); }
GRADCHECK(silu) { check_unary(g, UnaryFn::silu, -3, 3); }
GRADCHECK(hardswish) { check_unary(g, UnaryFn::hardswish, -5, 5); }
GRADCHECK(hardsigmoid) { check_unary(g, UnaryFn::hardsigmoid, -5, 5); }
GRADCHECK(exp) { check_unary(g, UnaryFn::exp, -3, 2); }
GRADCHECK(log) { check_unary(g, UnaryFn::log, 0, 5); }
GRADCHECK(sqrt) { check_unary(g, UnaryFn::sqrt, 0, 5); }
GRADCHECK(clamp) { check_unary(g, UnaryFn::clamp, -3, 3, -1, 2); }
GRADCHECK(neg) { check_unary(g, UnaryFn::neg, -3, 3); }
GRADCHECK(square) { check_unary(g, UnaryFn::square, -3, 3); }
GRADCHECK(pow) { check_unary(g, UnaryFn::pow, 0, 3, 2.5); }
GRADCHECK(affine) { check_unary(g, UnaryFn::affine, -3, 3, -1.5, 0.5); }
GRADCHECK(reciprocal) { check_unary(g, UnaryFn::reciprocal, 0, 3, 2.5); }

}  // namespace convoy
