// SPDX-License-Identifier: MIT
#include "runtime/ops/pool2d.h"

#include <gtest/gtest.h>

#include "runtime/autograd.h"
#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;
using testing::wave;

const Pool2dOptions kOverlap{
    .kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .ceil_mode = true};

// PyTorch 2: kernel 3, stride 2, padding 1, ceil_mode over wave(1 x 4 x 5 x 1).
TEST(Pool2dOp, IsPyTorchs) {
  const Tensor x = wave({1, 4, 5, 1}, 0);
  expect_golden(max_pool2d(x, kOverlap),
                {0.644217687, 0.98544973, 0.863209367, 0.988168234, 0.988168234, 0.669569762,
                 -0.87969576, 0.0336230472, 0.669569762});
  expect_golden(avg_pool2d(x, kOverlap),
                {-0.0642379237, 0.000842417885, 0.064860531, -0.159564184, -0.209680146,
                 0.00459547835, -0.309812248, -0.260615299, 0.117198802});
  Pool2dOptions inside = kOverlap;
  inside.count_include_pad = false;
  expect_golden(avg_pool2d(x, inside),
                {-0.144535328, 0.00126362683, 0.145936195, -0.239346276, -0.209680146,
                 0.00689321752, -0.929436745, -0.521230598, 0.351596405});
  expect_golden(adaptive_avg_pool2d(x, {3, 2}), {-0.0958573659, 0.0977903161, 0.0491570213,
                                                 -0.131614535, 0.00379052322, 0.148712306});
}

TEST(Pool2dOp, MaxByHand) {
  const Tensor x = from_vector<double>({1, 5, 5, 2, 0, 0, 3, 3}, {1, 2, 4, 1});
  Tensor(x).set_requires_grad(true);
  const Tensor y = max_pool2d(x, {.kernel_size = {2, 2}});
  expect_golden(y, {5, 5});
  y.backward(from_vector<double>({10, 20}, y.shape()));
  expect_golden(x.grad(), {0, 10, 20, 0, 0, 0, 0, 0});
}

TEST(Pool2dOp, GlobalAverageDropsTheImage) {
  const Tensor x = from_vector<double>({1, 10, 2, 20, 3, 30, 6, 60}, {1, 2, 2, 2});
  const Tensor y = global_avg_pool(x);
  EXPECT_EQ(y.shape(), (Shape{1, 2}));
  expect_golden(y, {3, 30});
}

TEST(Pool2dOp, WrongOperandsAreErrors) {
  EXPECT_THROW(max_pool2d(zeros({4, 4, 3}), {.kernel_size = {2, 2}}), Error);
  EXPECT_THROW(max_pool2d(zeros({1, 2, 2, 3}), {.kernel_size = {3, 3}}), Error);
  EXPECT_THROW(avg_pool2d(zeros({1, 4, 4, 3}), {.kernel_size = {2, 2}, .dilation = {2, 2}}), Error);
  EXPECT_THROW(adaptive_avg_pool2d(zeros({1, 4, 4, 3}), {0, 1}), Error);
  EXPECT_THROW(global_avg_pool(zeros({1, 0, 4, 3})), Error);
  EXPECT_THROW(max_pool2d(zeros({1, 2, 2, 3}, {DType::i32}), {.kernel_size = {2, 2}}), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(max_pool2d) {
  const Pool2dOptions plain{.kernel_size = {2, 2}},
      dilated{.kernel_size = {2, 3}, .stride = {2, 1}, .padding = {1, 1}, .dilation = {2, 1}};
  for (const Pool2dOptions& o : {plain, kOverlap, dilated}) {
    const auto f = [o](const Inputs& x) { return max_pool2d(x[0], o); };
    g.check({g.distinct({1, 5, 4, 2})}, f);
    g.check({g.distinct({2, 3, 7, 3})}, f);
    g.check({g.random({0, 5, 5, 2})}, f);
    g.check({g.noncontiguous({2, 5, 3, 3})}, f);
  }
  g.check({g.distinct({1, 1, 1, 1})}, [](const Inputs& x) { return max_pool2d(x[0], {}); });
}

GRADCHECK(avg_pool2d) {
  Pool2dOptions inside = kOverlap;
  inside.count_include_pad = false;
  const Pool2dOptions plain{.kernel_size = {2, 2}};
  for (const Pool2dOptions& o : {plain, kOverlap, inside}) {
    const auto f = [o](const Inputs& x) { return avg_pool2d(x[0], o); };
    g.check({g.random({1, 5, 4, 2})}, f);
    g.check({g.random({0, 5, 5, 2})}, f);
    g.check({g.noncontiguous({2, 5, 3, 3})}, f);
  }
  g.check({g.random({1, 1, 1, 1})}, [](const Inputs& x) { return avg_pool2d(x[0], {}); });
}

GRADCHECK(adaptive_avg_pool2d) {
  for (const PoolSize& size : {PoolSize{1, 1}, PoolSize{2, 3}, PoolSize{7, 5}}) {
    const auto f = [size](const Inputs& x) { return adaptive_avg_pool2d(x[0], size); };
    g.check({g.random({1, 5, 4, 2})}, f);
    g.check({g.random({0, 3, 3, 2})}, f);
    g.check({g.random({1, 1, 1, 1})}, f);
    g.check({g.noncontiguous({2, 5, 3, 3})}, f);
  }
}

GRADCHECK(global_avg_pool) {
  const auto f = [](const Inputs& x) { return global_avg_pool(x[0]); };
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{2, 3, 2, 5}, Shape{3, 1, 7, 2}, Shape{0, 2, 2, 3},
                         Shape{1, 5, 5, 1}, Shape{1, 2, 3, 4}}) {
    g.check({g.random(s)}, f);
  }
  g.check({g.noncontiguous({2, 3, 2, 5})}, f);
  g.check({g.noncontiguous({1, 2, 7, 3})}, f);
}

}  // namespace convoy
