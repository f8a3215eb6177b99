// SPDX-License-Identifier: MIT
#include "runtime/ops/binary.h"

#include <gtest/gtest.h>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

Tensor table(const std::vector<float>& values, const Shape& shape) {
  return from_vector(values, shape);
}

TEST(Binary, BroadcastsLikeNumPy) {
  const Tensor a = table({1, 2, 3, 4, 5, 6}, {2, 3}), row = table({10, 20, 30}, {3});
  const Tensor column = table({1, 2}, {2, 1});
  EXPECT_EQ(to_vector<float>(a + row), (std::vector<float>{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ(to_vector<float>(a * column), (std::vector<float>{1, 2, 3, 8, 10, 12}));
  EXPECT_EQ(to_vector<float>(column - row), (std::vector<float>{-9, -19, -29, -8, -18, -28}));
  EXPECT_EQ(to_vector<float>(row / full({}, 10)), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ((zeros({0, 3}) + row).shape(), (Shape{0, 3}));
}

TEST(Binary, ReadsAnyStrides) {
  const Tensor a = table({1, 2, 3, 4, 5, 6}, {2, 3}), b = table({1, 2, 3, 4, 5, 6}, {3, 2});
  EXPECT_EQ(to_vector<float>(a + transpose(b, 0, 1)), (std::vector<float>{2, 5, 8, 6, 9, 12}));
}

TEST(Binary, RefusesWhatDoesNotFit) {
  EXPECT_THROW(zeros({2, 3}) + zeros({2}), Error);
  EXPECT_THROW(zeros({2}) + zeros({2}, {DType::f64}), Error);
  EXPECT_THROW(zeros({2}, {DType::i32}) + zeros({2}, {DType::i32}), Error);
}

TEST(Binary, OneTensorOnBothSides) {
  Tensor x = table({3, -2}, {2});
  x.set_requires_grad(true);
  (x * x + x).backward(full({2}, 1));
  EXPECT_EQ(to_vector<float>(x.grad()), (std::vector<float>{7, -3}));
}

}  // namespace

using testing::Gradchecker;
using testing::Inputs;

static void check_binary(Gradchecker& g, Tensor (*op)(const Tensor&, const Tensor&)) {
  const auto f = [op](const Inputs& x) { return op(x[0], x[1]); };
  const std::pair<Shape, Shape> shapes[] = {{{}, {}},
                                            {{7}, {7}},
                                            {{1}, {5}},
                                            {{3, 5}, {5}},
                                            {{5}, {3, 5}},
                                            {{3, 1}, {1, 5}},
                                            {{2, 3, 3, 2}, {2, 1, 1, 2}},
                                            {{0, 3}, {3}}};
  for (const auto& [a, b] : shapes) g.check({g.random(a), g.random(b, 0.5, 2)}, f);
  g.check({g.noncontiguous({3, 5}), g.random({3, 5}, 0.5, 2)}, f);
  const Tensor column = transpose(g.random({1, 3}, 0.5, 2).detach(), 0, 1).set_requires_grad(true);
  g.check({g.noncontiguous({3, 5}), column}, f);
  // The same tensor twice, and one that wants no gradient.
  g.check({g.random({3}, 0.5, 2)}, [op](const Inputs& x) { return op(x[0], x[0]); });
  g.check({g.random({3}), g.random({3}, 0.5, 2).set_requires_grad(false)}, f);
}

GRADCHECK(add) { check_binary(g, add); }
GRADCHECK(sub) { check_binary(g, sub); }
GRADCHECK(mul) { check_binary(g, mul); }
GRADCHECK(div) { check_binary(g, div); }

}  // namespace convoy
