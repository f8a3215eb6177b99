// SPDX-License-Identifier: MIT
#include "runtime/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

Tensor table() { return from_vector<float>({1, 7, 3, 4, -5, 6}, {2, 3}); }

TEST(Reduce, SumsOverAnyDimensions) {
  EXPECT_EQ(sum(table()).item(), 16);
  EXPECT_EQ(sum(table()).shape(), Shape{});
  EXPECT_EQ(to_vector<float>(sum(table(), {0})), (std::vector<float>{5, 2, 9}));
  EXPECT_EQ(to_vector<float>(sum(table(), {-1})), (std::vector<float>{11, 5}));
  EXPECT_EQ(sum(table(), {1}, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(sum(table(), {0, 1}, true).shape(), (Shape{1, 1}));
  EXPECT_EQ(to_vector<float>(sum(transpose(table(), 0, 1), {0})), (std::vector<float>{11, 5}));
  EXPECT_EQ(sum(zeros({0, 3})).item(), 0);
  EXPECT_EQ(to_vector<float>(sum(zeros({0, 3}), {0})), (std::vector<float>{0, 0, 0}));
}

TEST(Reduce, Means) {
  EXPECT_EQ(to_vector<float>(mean(table(), {0})), (std::vector<float>{2.5f, 1, 4.5f}));
  EXPECT_TRUE(std::isnan(mean(zeros({0})).item()));
}

TEST(Reduce, MaximaAndTheirPlaces) {
  const auto [values, indices] = max(table(), 1);
  EXPECT_EQ(to_vector<float>(values), (std::vector<float>{7, 6}));
  EXPECT_EQ(to_vector<std::int64_t>(indices), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(max(table(), 0, true).values.shape(), (Shape{1, 3}));
  EXPECT_EQ(max(table()).item(), 7);
  EXPECT_EQ(argmax(table()).item(), 1);
  EXPECT_EQ(to_vector<std::int64_t>(argmax(table(), 0)), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(argmax(full({5}, 2)).item(), 0);
}

TEST(Reduce, BadDimensionsAreErrors) {
  EXPECT_THROW(sum(table(), {2}), Error);
  EXPECT_THROW(sum(table(), {0, -2}), Error);
  EXPECT_THROW(max(zeros({3, 0}), 1), Error);
  EXPECT_THROW(max(zeros({0})), Error);
  EXPECT_EQ(max(zeros({0, 3}), 1).values.shape(), (Shape{0}));
}

}  // namespace

using testing::Gradchecker;
using testing::Inputs;

static void check_sum(Gradchecker& g, Tensor (*op)(const Tensor&, const Shape&, bool)) {
  const auto over = [op](const Shape& dims, bool keepdim = false) {
    return [=](const Inputs& x) { return op(x[0], dims, keepdim); };
  };
  g.check({g.random({})}, over({}));
  g.check({g.random({0, 3})}, over({1}));
  g.check({g.random({1})}, over({0}));
  g.check({g.random({7})}, over({}));
  g.check({g.random({3, 5})}, over({0}));
  g.check({g.random({3, 5})}, over({-1}, true));
  g.check({g.random({2, 3, 3, 2})}, over({1, 2}));
  g.check({g.random({2, 3, 1, 2})}, over({0, 3}, true));
  g.check({g.noncontiguous({3, 5})}, over({0}));
  g.check({g.noncontiguous({3, 5})}, over({1}));
}

GRADCHECK(sum) { check_sum(g, sum); }
GRADCHECK(mean) { check_sum(g, mean); }

GRADCHECK(max) {
  for (const int dim : {0, 1, -1}) {
    g.check({g.distinct({3, 5})}, [=](const Inputs& x) { return max(x[0], dim).values; });
    g.check({g.distinct({1, 7})}, [=](const Inputs& x) { return max(x[0], dim, true).values; });
  }
  g.check({g.distinct({})}, [](const Inputs& x) { return max(x[0]); });
  g.check({g.distinct({0, 3})}, [](const Inputs& x) { return max(x[0], 1).values; });
  g.check({g.distinct({2, 3, 5})}, [](const Inputs& x) { return max(x[0]); });
  const Tensor turned = transpose(g.distinct({5, 3}).detach(), 0, 1).set_requires_grad(true);
  g.check({turned}, [](const Inputs& x) { return max(x[0], 1).values; });
}

}  // namespace convoy
