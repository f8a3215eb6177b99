// SPDX-License-Identifier: MIT
#include "runtime/ops/subsample.h"

#include <gtest/gtest.h>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

TEST(SubsampleOp, TakesEveryOtherPixelBetweenZeros) {
  // Pixel (i, j) holds 10 i + j and its negative.
  std::vector<float> values;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      values.push_back(static_cast<float>(10 * i + j));
      values.push_back(-values.back());
    }
  }
  const Tensor x = from_vector(values, {1, 3, 4, 2});
  const Tensor y = subsample_pad(x, 2, 1);
  EXPECT_EQ(y.shape(), (Shape{1, 2, 2, 4}));
  EXPECT_EQ(to_vector<float>(y),
            (std::vector<float>{0, 0, 0, 0, 0, 2, -2, 0, 0, 20, -20, 0, 0, 22, -22, 0}));
  EXPECT_EQ(to_vector<float>(subsample_pad(x, 1, 0)), values);
  EXPECT_EQ(subsample_pad(zeros({0, 5, 5, 3}), 3, 2).shape(), (Shape{0, 2, 2, 7}));
}

TEST(SubsampleOp, BadArgumentsAreErrors) {
  EXPECT_THROW(subsample_pad(zeros({2, 3, 4}), 2, 1), Error);
  EXPECT_THROW(subsample_pad(zeros({1, 2, 3, 4}), 0, 1), Error);
  EXPECT_THROW(subsample_pad(zeros({1, 2, 3, 4}), 2, -1), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(subsample_pad) {
  for (const std::int64_t stride : {1, 2, 3}) {
    for (const std::int64_t padding : {0, 2}) {
      const auto f = [=](const Inputs& x) { return subsample_pad(x[0], stride, padding); };
      g.check({g.random({2, 5, 4, 3})}, f);
      g.check({g.noncontiguous({1, 4, 3, 2})}, f);
    }
  }
  const auto f = [](const Inputs& x) { return subsample_pad(x[0], 2, 1); };
  g.check({g.random({1, 1, 1, 1})}, f);
  g.check({g.random({0, 2, 2, 3})}, f);
}

}  // namespace convoy
