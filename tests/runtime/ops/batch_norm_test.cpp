// SPDX-License-Identifier: MIT
#include "runtime/ops/batch_norm.h"

#include <gtest/gtest.h>

#include "runtime/autograd.h"
#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;
using testing::wave;

// PyTorch 2: relu(F.batch_norm(x, ...) + r) with x [2, 2, 1, 3] as NHWC, backward with wave(4).
TEST(BatchNormOp, TrainingStepIsPyTorchs) {
  const Shape s{2, 2, 1, 3};
  const Tensor x = wave(s, 0).set_requires_grad(true), r = wave(s, 3).set_requires_grad(true);
  const Tensor scale = wave({3}, 1).set_requires_grad(true);
  const Tensor bias = wave({3}, 2).set_requires_grad(true);
  const Tensor mean = full({3}, 0.5, {DType::f64}), var = full({3}, 2, {DType::f64});
  const Tensor y = batch_norm_act(x, scale, bias, mean, var, true, 0.1, 1e-5, r, true);
  y.backward(wave(s, 4));
  expect_golden(y, {1.04752038, 0.604892412, 0, 1.1647325, 0.215174296, 0, 0.504444421, 0, 0,
                    1.05392003, 0.609493625, 0});
  expect_golden(x.grad(), {-0.777409453, -0.571045601, 0, 0.788560951, 1.40435509, 0, 0.766039674,
                           -0.271360913, 0, -0.777191172, -0.56194857, 0});
  expect_golden(scale.grad(), {-1.61141021, -1.31970964, 0});
  expect_golden(bias.grad(), {-0.765920253, -1.50580011, 0});
  expect_golden(r.grad(), {-0.756802495, -0.999923258, 0, -0.182162504, 0.494113351, 0, 0.940730557,
                           0, 0, -0.76768581, -0.999990207, 0});
  expect_golden(mean, {0.450211187, 0.466343496, 0.474789202});
  expect_golden(var, {1.85016799, 1.86057447, 1.87411107});
}

TEST(BatchNormOp, InferenceTakesTheRunningEstimatesAndLeavesThem) {
  const Tensor x = from_vector<double>({1, 2, 3, 4}, {2, 2});
  const Tensor mean = from_vector<double>({1, 0}, {2}), var = from_vector<double>({3, 8}, {2});
  const Tensor y = batch_norm(x, {}, {}, mean, var, false, 0.1, 1);
  expect_golden(y, {0, 2.0 / 3, 1, 4.0 / 3});
  expect_golden(mean, {1, 0});
  expect_golden(var, {3, 8});
}

TEST(BatchNormOp, InPlaceGivesTheSameAndRefusesTheTape) {
  const Tensor x = wave({3, 5, 2}, 0), r = wave({3, 5, 2}, 1), w = wave({2}, 2);
  const Tensor mean = wave({2}, 3), var = full({2}, 2, {DType::f64});
  for (const Tensor& residual : {Tensor(), r}) {
    const Tensor y = batch_norm_act(x, w, w, mean, var, false, 0.1, 1e-5, residual, true);
    const Tensor z = x.clone();
    batch_norm_act_(z, w, w, mean, var, 1e-5, residual, true);
    EXPECT_EQ(to_vector<double>(z), to_vector<double>(y));
  }
  const Tensor z = x.clone();
  const Saved saved = save(z);
  const Tensor parameter = w.clone().set_requires_grad(true);
  EXPECT_THROW(batch_norm_act_(z, parameter, w, mean, var, 1e-5, {}, true), Error);
  EXPECT_THROW(batch_norm_act_(permute(z, {1, 0, 2}), w, w, mean, var, 1e-5, {}, true), Error);
  EXPECT_NO_THROW(saved.data());
  const NoGrad inference;
  batch_norm_act_(z, parameter, w, mean, var, 1e-5, {}, true);
  EXPECT_THROW(saved.data(), Error) << "a saved tensor was written to";
}

TEST(BatchNormOp, OneTensorAsInputAndResidualGetsBothGradients) {
  const Shape s{5, 3};
  for (const bool relu : {false, true}) {
    const Tensor x = wave(s, 0).set_requires_grad(true);
    const Tensor a = wave(s, 0).set_requires_grad(true), b = wave(s, 0).set_requires_grad(true);
    batch_norm_act(x, {}, {}, {}, {}, true, 0.1, 1e-5, x, relu).backward(wave(s, 4));
    batch_norm_act(a, {}, {}, {}, {}, true, 0.1, 1e-5, b, relu).backward(wave(s, 4));
    std::vector<double> sum = to_vector<double>(a.grad());
    const std::vector<double> other = to_vector<double>(b.grad());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
    expect_golden(x.grad(), sum);
  }
}

// The mask needs y only where a residual came in; without, nothing but x is kept.
TEST(BatchNormOp, KeepsNoOutputWithoutResidual) {
  const auto overwritten = [](const Tensor& residual) {
    const Tensor x = wave({5, 3}, 0).set_requires_grad(true);
    const Tensor y = batch_norm_act(x, {}, {}, {}, {}, true, 0.1, 1e-5, residual, true);
    y.bump_version();
    y.backward(wave({5, 3}, 4));
  };
  EXPECT_NO_THROW(overwritten({}));
  EXPECT_THROW(overwritten(wave({5, 3}, 1)), Error);
}

TEST(BatchNormOp, WrongOperandsAreErrors) {
  const Tensor x = zeros({4, 3}), c = zeros({3}), wrong = zeros({4});
  EXPECT_THROW(batch_norm(zeros({3}), {}, {}, {}, {}, true), Error);
  EXPECT_THROW(batch_norm(x, wrong, {}, {}, {}, true), Error);
  EXPECT_THROW(batch_norm(x, {}, wrong, {}, {}, true), Error);
  EXPECT_THROW(batch_norm(x, {}, {}, wrong, c, true), Error);
  EXPECT_THROW(batch_norm(x, {}, {}, c, {}, true), Error);
  EXPECT_THROW(batch_norm(x, {}, {}, {}, {}, false), Error);
  EXPECT_THROW(batch_norm(x, zeros({3}, {DType::f64}), {}, {}, {}, true), Error);
  EXPECT_THROW(batch_norm(zeros({1, 3}), {}, {}, {}, {}, true), Error);
  EXPECT_THROW(batch_norm_act(x, {}, {}, {}, {}, true, 0.1, 1e-5, wrong, true), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(batch_norm) {
  const Tensor mean = wave({5}, 1), var = full({5}, 1.5, {DType::f64});
  for (const bool training : {true, false}) {
    const auto f = [=](const Inputs& x) {
      const bool five = !training && x[0].shape().back() == 5;
      return batch_norm(x[0], x[1], x[2], five ? mean : Tensor(), five ? var : Tensor(), training);
    };
    g.check({g.random({2, 5}), g.random({5}), g.random({5})}, f);
    g.check({g.random({2, 3, 2, 5}), g.random({5}), g.random({5})}, f);
    g.check({g.noncontiguous({7, 5}), g.random({5}), g.random({5})}, f);
    g.check({g.random({0, 5}), g.random({5}), g.random({5})}, f);
    g.check({g.random({3, 2, 5}), Tensor(), Tensor()}, f);
    if (training) g.check({g.random({13, 1}), g.random({1}), g.random({1})}, f);
  }
}

GRADCHECK(batch_norm_act) {
  for (const bool relu : {true, false}) {
    const auto f = [=](const Inputs& x) {
      return batch_norm_act(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, x[3], relu);
    };
    const auto act = [=](const Inputs& x) {
      return batch_norm_act(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, {}, true);
    };
    g.check({g.random({2, 5}), g.random({5}), g.random({5}), g.random({2, 5})}, f);
    g.check({g.random({2, 3, 3, 2}), g.random({2}), g.random({2}), g.random({2, 3, 3, 2})}, f);
    g.check({g.noncontiguous({7, 3}), g.random({3}), g.random({3}), g.noncontiguous({7, 3})}, f);
    g.check({g.random({0, 3}), g.random({3}), g.random({3}), g.random({0, 3})}, f);
    g.check({g.random({11, 1}), g.random({1}), g.random({1}), g.random({11, 1})}, f);
    g.check({g.random({4, 2, 7}), g.random({7}), g.random({7})}, act);
  }
  const Tensor mean = wave({5}, 1), var = full({5}, 1.5, {DType::f64});
  g.check({g.random({3, 5}), g.random({5}), g.random({5}), g.random({3, 5})}, [=](const Inputs& x) {
    return batch_norm_act(x[0], x[1], x[2], mean, var, false, 0.1, 1e-5, x[3], true);
  });
  g.check({g.random({7, 5})}, [](const Inputs& x) {
    return batch_norm_act(x[0], {}, {}, {}, {}, true, 0.1, 1e-5, x[0], true);
  });
}

}  // namespace convoy
