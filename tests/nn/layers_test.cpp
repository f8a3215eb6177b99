// SPDX-License-Identifier: MIT
// What the layers add to the ops: parameters, defaults, modes, order. The ops have tests of their
// own in tests/runtime/ops.
#include "nn/layers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"

namespace convoy::nn {
namespace {

using convoy::testing::random_values;

Tensor random_tensor(const Shape& shape, std::uint32_t seed) {
  return from_vector(random_values<float>(shape.count(), seed), shape);
}

void expect_equal(const Tensor& a, const Tensor& b, float tolerance = 0) {
  ASSERT_EQ(a.shape(), b.shape());
  const auto x = to_vector<float>(a), y = to_vector<float>(b);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], tolerance) << i;
}

TEST(Conv2d, HasTheParametersOfPyTorch) {
  Conv2d conv(6, 8, 3, {.stride = 2, .padding = 1, .groups = 2});
  initialize(conv, 1);
  EXPECT_EQ(conv.parameters()[0].name, "weight");
  EXPECT_EQ(conv.weight().shape(), (Shape{8, 3, 3, 3}));
  EXPECT_EQ(conv.bias().shape(), (Shape{8}));
  const float bound = 1 / std::sqrt(27.0f);  // kaiming_uniform(a = sqrt(5)): 1 / sqrt(fan_in)
  float largest = 0;
  for (const float w : to_vector<float>(conv.weight())) largest = std::max(largest, std::abs(w));
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, 0.95f * bound);
  EXPECT_EQ(conv(zeros({2, 7, 9, 6})).shape(), (Shape{2, 4, 5, 8}));
  EXPECT_FALSE(Conv2d(3, 4, 1, {.bias = false}).bias().defined());
  EXPECT_THROW(Conv2d(3, 4, 1, {.groups = 2}), Error);
  EXPECT_THROW(Conv2d(0, 4, 1), Error);
}

TEST(Linear, AppliesToTheLastDimension) {
  Linear fc(5, 3);
  initialize(fc, 1);
  const Tensor x = random_tensor({2, 4, 5}, 1);
  expect_equal(fc(x), reshape(linear(reshape(x, {8, 5}), fc.weight(), fc.bias()), {2, 4, 3}),
               1e-6f);
  EXPECT_EQ(Linear(5, 3, false).parameters().size(), 1u);
}

TEST(Flatten, GoesChannelByChannel) {
  const Tensor x = from_vector<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {1, 2, 3, 2});
  EXPECT_EQ(to_vector<float>(Flatten()(x)),
            (std::vector<float>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(Flatten()(zeros({2, 1, 1, 7})).shape(), (Shape{2, 7}));
  EXPECT_EQ(Flatten()(zeros({2, 3, 4})).shape(), (Shape{2, 12}));
}

TEST(BatchNorm2d, FusedFormsEqualThePlainOnes) {
  for (const bool training : {true, false}) {
    BatchNorm2d norm(4), fused(4);
    for (BatchNorm2d* m : {&norm, &fused}) {
      initialize(*m, 1);
      m->train(training);
    }
    const Tensor x = random_tensor({3, 5, 2, 4}, 1), residual = random_tensor({3, 5, 2, 4}, 2);
    expect_equal(fused.forward_relu(x), relu(norm(x)), 1e-6f);
    expect_equal(fused.forward_relu(x, residual), relu(norm(x) + residual), 1e-6f);
    expect_equal(fused.forward_add(x, residual), norm(x) + residual, 1e-6f);
    expect_equal(fused.buffers()[0].tensor, norm.buffers()[0].tensor, 1e-6f);
  }
}

// Inference writes over a temporary, and over nothing that someone still holds.
TEST(BatchNorm2d, TemporariesAreReusedInInferenceOnly) {
  BatchNorm2d norm(4);
  initialize(norm, 1);
  norm.eval();
  const Tensor x = random_tensor({2, 3, 3, 4}, 1), residual = random_tensor({2, 3, 3, 4}, 2);
  const Tensor expected = norm.forward_relu(x, residual);
  Tensor recorded = x.clone();
  const void* memory = recorded.data();
  EXPECT_NE(norm.forward_relu(std::move(recorded), residual).data(), memory) << "the tape needs x";
  const NoGrad inference;
  Tensor temporary = x.clone();
  memory = temporary.data();
  const Tensor y = norm.forward_relu(std::move(temporary), residual);
  EXPECT_EQ(y.data(), memory);
  expect_equal(y, expected);
  Tensor held = x.clone();
  const Tensor view = reshape(held, {18, 4});
  EXPECT_NE(norm.forward_relu(std::move(held), residual).data(), view.data());
  const Tensor named = x.clone();
  EXPECT_NE(norm.forward_relu(named, residual).data(), named.data());
}

TEST(BatchNorm2d, TrainingMovesTheRunningEstimates) {
  BatchNorm2d norm(1);
  initialize(norm, 1);
  norm(from_vector<float>({1, 2, 3, 6}, {4, 1, 1, 1}));  // mean 3, unbiased variance 14/3
  EXPECT_NEAR(norm.buffers()[0].tensor.item(), 0.3, 1e-6);
  EXPECT_NEAR(norm.buffers()[1].tensor.item(), 0.9 + 0.1 * 14 / 3, 1e-6);
  norm.eval();
  norm(full({4, 1, 1, 1}, 100));
  EXPECT_NEAR(norm.buffers()[0].tensor.item(), 0.3, 1e-6);
}

TEST(LayerNormAndScale, WorkOnChannels) {
  LayerNorm norm(4, 1e-6);
  LayerScale scale(4, 0.5);
  initialize(norm, 1);
  initialize(scale, 1);
  const auto y = to_vector<float>(scale(norm(random_tensor({2, 3, 3, 4}, 1))));
  for (std::size_t pixel = 0; pixel < 18; ++pixel) {
    double sum = 0, squares = 0;
    for (std::size_t c = 0; c < 4; ++c) {
      sum += y[pixel * 4 + c];
      squares += y[pixel * 4 + c] * y[pixel * 4 + c];
    }
    EXPECT_NEAR(sum, 0, 1e-5);
    EXPECT_NEAR(squares, 4 * 0.25, 1e-3);
  }
  EXPECT_EQ(scale.parameters()[0].name, "gamma");
}

TEST(Dropout, OnlyInTraining) {
  Dropout dropout(0.25);
  initialize(dropout, 5);
  const Tensor ones = full({10'000}, 1);
  int kept = 0;
  for (const float v : to_vector<float>(dropout(ones))) {
    EXPECT_TRUE(v == 0 || std::abs(v - 4.0f / 3) < 1e-6f);
    kept += v != 0;
  }
  EXPECT_NEAR(kept, 7500, 200);
  expect_equal(dropout(ones), dropout(ones));  // the same step, the same draws
  dropout.eval();
  expect_equal(dropout(ones), ones);
  EXPECT_THROW(Dropout(1), Error);
}

TEST(Dropout, EveryLayerDrawsForItself) {
  Sequential net;
  net.push<Dropout>(0.5);
  net.push<Dropout>(0.5);
  initialize(net, 5);
  const Tensor ones = full({64}, 1);
  EXPECT_NE(to_vector<float>(net[0].forward(ones)), to_vector<float>(net[1].forward(ones)));
}

TEST(DropPath, TakesOrDropsWholeSamples) {
  DropPath path(0.5);
  initialize(path, 5);
  const auto y = to_vector<float>(path(full({1000, 2, 2, 1}, 1)));
  int kept = 0;
  for (std::size_t n = 0; n < 1000; ++n) {
    for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(y[n * 4 + i], y[n * 4]);
    EXPECT_TRUE(y[n * 4] == 0 || y[n * 4] == 2);
    kept += y[n * 4] != 0;
  }
  EXPECT_NEAR(kept, 500, 60);
  EXPECT_TRUE(path.active());
  path.eval();
  EXPECT_FALSE(path.active());
}

TEST(SqueezeExcite, ScalesChannelsByTheirGate) {
  SqueezeExcite se(6, 2);
  initialize(se, 3);
  EXPECT_EQ(se.parameters()[2].name, "conv_expand.weight");
  const Tensor x = random_tensor({2, 3, 4, 6}, 1);
  const auto p = se.parameters();
  const auto matrix = [&](std::size_t i, std::int64_t out, std::int64_t in) {
    return reshape(p[i].tensor, {out, in});
  };
  const Tensor hidden = relu(linear(global_avg_pool(x), matrix(0, 2, 6), p[1].tensor));
  const Tensor gate = sigmoid(linear(hidden, matrix(2, 6, 2), p[3].tensor));
  expect_equal(se(x), x * reshape(gate, {2, 1, 1, 6}), 1e-6f);
}

TEST(Sequential, NumbersItsParts) {
  Sequential net;
  net.push<Conv2d>(3, 4, 3);
  net.push<ReLU>();
  net.push<MaxPool2d>(2);
  net.push<Flatten>();
  net.push<Linear>(4 * 3 * 3, 2);
  initialize(net, 1);
  EXPECT_EQ(net.parameters()[2].name, "4.weight");
  EXPECT_EQ(net(zeros({5, 8, 8, 3})).shape(), (Shape{5, 2}));
  EXPECT_EQ(net.size(), 5u);
}

TEST(Pooling, LayersPassTheirArgumentsOn) {
  const Tensor x = random_tensor({2, 7, 7, 3}, 1);
  const Pool2dOptions options{.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
  expect_equal(MaxPool2d(3, 2, 1)(x), max_pool2d(x, options));
  expect_equal(AvgPool2d(3, 2, 1)(x), avg_pool2d(x, options));
  expect_equal(AvgPool2d(2)(x), avg_pool2d(x, {.kernel_size = {2, 2}}));
  EXPECT_EQ(AdaptiveAvgPool2d({2, 3})(x).shape(), (Shape{2, 2, 3, 3}));
  EXPECT_EQ(Upsample({.scale_factor = {2, 2}})(x).shape(), (Shape{2, 14, 14, 3}));
}

TEST(Activations, AreTheirOps) {
  const Tensor x = random_tensor({50}, 1) * 5.0;
  expect_equal(ReLU()(x), relu(x));
  expect_equal(ReLU6()(x), relu6(x));
  expect_equal(LeakyReLU(0.2)(x), leaky_relu(x, 0.2));
  expect_equal(Sigmoid()(x), sigmoid(x));
  expect_equal(Tanh()(x), tanh(x));
  expect_equal(GELU()(x), gelu(x));
  expect_equal(GELU(GeluForm::tanh)(x), gelu(x, GeluForm::tanh));
  expect_equal(SiLU()(x), silu(x));
  expect_equal(Hardswish()(x), hardswish(x));
  expect_equal(Hardsigmoid()(x), hardsigmoid(x));
}

}  // namespace
}  // namespace convoy::nn
