// SPDX-License-Identifier: MIT
#include "runtime/ops/layer_norm.h"

#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;
using testing::wave;

// PyTorch 2: F.layer_norm(x, (3,), scale, bias), backward with wave(4).
TEST(LayerNormOp, IsPyTorchs) {
  const Tensor x = wave({2, 3}, 0).set_requires_grad(true);
  const Tensor scale = wave({3}, 1).set_requires_grad(true);
  const Tensor y = layer_norm(x, scale, wave({3}, 2));
  y.backward(wave({2, 3}, 4));
  expect_golden(y, {-0.209388597, 0.672487628, 0.475494499, 1.89252591, 0.532164516, -1.11616853});
  expect_golden(x.grad(),
                {0.235422904, -0.679888172, 0.444465269, -0.226757045, 0.40136341, -0.174606364});
  expect_golden(scale.grad(), {0.793273949, -0.194938297, -2.03147543});
}

TEST(LayerNormOp, WrongOperandsAreErrors) {
  const Tensor x = zeros({2, 3});
  EXPECT_THROW(layer_norm(zeros({})), Error);
  EXPECT_THROW(layer_norm(zeros({2, 0})), Error);
  EXPECT_THROW(layer_norm(x, zeros({2})), Error);
  EXPECT_THROW(layer_norm(x, {}, zeros({3, 1})), Error);
  EXPECT_THROW(layer_norm(x, zeros({3}, {DType::f64})), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(layer_norm) {
  const auto f = [](const Inputs& x) { return layer_norm(x[0], x[1], x[2]); };
  for (const Shape& s : {Shape{5}, Shape{2, 3}, Shape{3, 2, 7}, Shape{0, 4}, Shape{2, 3, 2, 11}}) {
    g.check({g.random(s), g.random({s.back()}), g.random({s.back()})}, f);
  }
  g.check({g.noncontiguous({5, 7}), g.random({7}), g.random({7})}, f);
  g.check({g.random({3, 5}), Tensor(), g.random({5})}, f);
  g.check({g.random({3, 5}), g.random({5}), Tensor()}, f);
  g.check({g.random({3, 1}), g.random({1}), g.random({1})}, f);
}

}  // namespace convoy
