// SPDX-License-Identifier: MIT
#include "runtime/ops/upsample.h"

#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;
using testing::wave;

constexpr auto kBilinear = UpsampleMode::bilinear;

// PyTorch 2: F.interpolate over wave(1 x 2 x 3 x 1).
TEST(UpsampleOp, IsPyTorchs) {
  const Tensor x = wave({1, 2, 3, 1}, 0);
  expect_golden(upsample(x, {.size = {3, 4}, .mode = kBilinear}),
                {0, 0.402636055, 0.772179703, 0.98544973, 0.431604683, 0.46785358, 0.425001793,
                 0.317333251, 0.863209367, 0.533071106, 0.0778238835, -0.350783228});
  expect_golden(upsample(x, {.size = {3, 4}, .mode = kBilinear, .align_corners = true}),
                {0, 0.429478458, 0.757961701, 0.98544973, 0.431604683, 0.470270174, 0.432179696,
                 0.317333251, 0.863209367, 0.511061889, 0.106397691, -0.350783228});
  const UpsampleOptions factor{.scale_factor = {1.6, 1.5}, .mode = kBilinear};
  expect_golden(upsample(x, factor),
                {0, 0.322108844, 0.701089694, 0.928577723, 0.377654098, 0.443291931, 0.490916106,
                 0.41886147, 0.863209367, 0.599098758, 0.220692921, -0.236487998});
  const std::vector<double> nearest{0,           0,           0.644217687, 0.98544973,
                                    0,           0,           0.644217687, 0.98544973,
                                    0.863209367, 0.863209367, 0.33498815,  -0.350783228};
  expect_golden(upsample(x, {.size = {3, 4}}), nearest);
  expect_golden(upsample(x, {.scale_factor = {1.6, 1.5}}), nearest);
}

TEST(UpsampleOp, WrongOperandsAreErrors) {
  EXPECT_THROW(upsample(zeros({4, 4, 3}), {.size = {2, 2}}), Error);
  EXPECT_THROW(upsample(zeros({1, 4, 4, 3}), {}), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(upsample) {
  for (const UpsampleOptions& o :
       {UpsampleOptions{.size = {5, 7}}, UpsampleOptions{.size = {5, 2}, .mode = kBilinear},
        UpsampleOptions{.size = {2, 7}, .mode = kBilinear, .align_corners = true},
        UpsampleOptions{.scale_factor = {2, 1.5}, .mode = kBilinear}}) {
    const auto f = [o](const Inputs& x) { return upsample(x[0], o); };
    g.check({g.random({1, 3, 2, 2})}, f);
    g.check({g.random({1, 1, 1, 1})}, f);
    g.check({g.random({0, 3, 5, 2})}, f);
    g.check({g.noncontiguous({2, 3, 5, 3})}, f);
  }
}

}  // namespace convoy
