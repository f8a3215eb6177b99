// SPDX-License-Identifier: MIT
#include "runtime/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;

TEST(SoftmaxOp, ByHandOverEitherDimension) {
  const double a = std::log(2.0), b = std::log(3.0);
  const Tensor x = from_vector<double>({0, a, b, a, 0, 0}, {2, 3});
  expect_golden(softmax(x), {1.0 / 6, 2.0 / 6, 3.0 / 6, 0.5, 0.25, 0.25});
  expect_golden(softmax(x, 0), {1.0 / 3, 2.0 / 3, 0.75, 2.0 / 3, 1.0 / 3, 0.25});
  expect_golden(log_softmax(x, 0), {-b, a - b, b - 2 * a, a - b, -b, -2 * a});
}

TEST(SoftmaxOp, EmptyAndWrongDimension) {
  EXPECT_EQ(softmax(zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(softmax(zeros({3, 0})).shape(), (Shape{3, 0}));
  EXPECT_THROW(softmax(zeros({2, 3}), 2), Error);
  EXPECT_THROW(log_softmax(zeros({}), 0), Error);
}

void samples(testing::Gradchecker& g, Tensor (*f)(const Tensor&, int)) {
  const auto last = [f](const testing::Inputs& x) { return f(x[0], -1); };
  for (const Shape& s :
       {Shape{1}, Shape{7}, Shape{3, 5}, Shape{0, 3}, Shape{4, 1}, Shape{2, 3, 11}}) {
    g.check({g.random(s, -3, 3)}, last);
  }
  g.check({g.noncontiguous({5, 3})}, last);
  g.check({g.random({3, 4, 2})}, [f](const testing::Inputs& x) { return f(x[0], 1); });
}

}  // namespace

GRADCHECK(softmax) { samples(g, softmax); }
GRADCHECK(log_softmax) { samples(g, log_softmax); }

}  // namespace convoy
