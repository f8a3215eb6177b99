// SPDX-License-Identifier: MIT
// Half parameters whose gradients are kept in f32, on the simulator: ops that make a parameter's
// gradient write it there without a rounding to half in between, and others through a cast.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"
#include "tests/support/gpu_device.h"

namespace convoy {
namespace {

using testing::Bound;

const Device kSim = ::convoy::testing::gpu_device();
constexpr double kHalfStep = 0x1p-10;  // eps of f16

using Op = std::function<Tensor(const std::vector<Tensor>& parameters, const Tensor& x)>;

std::vector<double> numbers(const Tensor& tensor) {
  return to_vector<double>(cast(cast(tensor, DType::f32).to(Device{}), DType::f64));
}

Tensor random_half(const Shape& shape, std::uint32_t seed) {
  const auto values = testing::random_values<float>(shape.count(), seed);
  return cast(from_vector(values, shape, kSim), DType::f16);
}

Tensor as_f64(const Tensor& half) { return from_vector(numbers(half), half.shape()); }

// A parameter as a store would hold it.
Tensor parameter(const Shape& shape, std::uint32_t seed) {
  Tensor p = random_half(shape, seed).set_requires_grad(true);
  p.impl()->grad = zeros(shape, {DType::f32, kSim}).impl();
  return p;
}

// Two passes of the op over the same x in f16 on sim, and in f64 on cpu; gradients add up.
void check(const std::vector<Shape>& shapes, const Shape& x_shape, const Op& op, const Bound& bound,
           double rounding = 0) {
  const Tensor x = random_half(x_shape, 1);
  std::vector<Tensor> parameters, exact;
  for (const Shape& shape : shapes) {
    parameters.push_back(parameter(shape, 2 + static_cast<std::uint32_t>(parameters.size())));
    exact.push_back(as_f64(parameters.back()).set_requires_grad(true));
  }
  const Tensor dy = random_half(op(parameters, x).shape(), 17);
  for (int pass = 0; pass < 2; ++pass) {
    op(parameters, x).backward(dy);
    op(exact, as_f64(x)).backward(as_f64(dy));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(parameters[i].grad().dtype(), DType::f32);
    const auto found = to_vector<float>(parameters[i].grad());
    const auto wanted = to_vector<double>(exact[i].grad());
    for (std::size_t j = 0; j < found.size(); ++j) {
      const double f32 =
          0x1p-23 * bound.factor * (std::abs(wanted[j]) + std::sqrt(bound.k) * bound.scale);
      ASSERT_NEAR(found[j], wanted[j], f32 + rounding * (std::abs(wanted[j]) + 1)) << j;
    }
  }
}

TEST(HalfParameters, Linear) {
  check(
      {{5, 7}, {5}}, {33, 7}, [](const auto& p, const Tensor& x) { return linear(x, p[0], p[1]); },
      testing::sum_bound(66));
}

TEST(HalfParameters, Matmul) {
  check(
      {{7, 5}}, {33, 7}, [](const auto& p, const Tensor& x) { return matmul(x, p[0]); },
      testing::sum_bound(66));
  check(
      {{5, 33}}, {33, 7}, [](const auto& p, const Tensor& x) { return matmul(p[0], x); },
      testing::sum_bound(66));
}

TEST(HalfParameters, Conv2d) {
  check(
      {{5, 3, 3, 2}, {5}}, {2, 6, 5, 2},
      [](const auto& p, const Tensor& x) {
        return conv2d(x, p[0], p[1], {.padding = {1, 1}});
      },
      testing::sum_bound(120));
}

TEST(HalfParameters, BatchNorm) {
  check({{5}, {5}}, {33, 5},
        [](const auto& p, const Tensor& x) { return batch_norm(x, p[0], p[1], {}, {}, true); },
        {.k = 66, .scale = 12});
}

TEST(HalfParameters, LayerNorm) {
  check({{17}, {17}}, {33, 17},
        [](const auto& p, const Tensor& x) { return layer_norm(x, p[0], p[1]); },
        {.k = 66, .scale = 12});
}

TEST(HalfParameters, NormWithOneParameterOfItsOwn) {
  const Tensor x = random_half({33, 17}, 1), dy = random_half({33, 17}, 2);
  const Tensor scale = parameter({17}, 3);
  const Tensor bias = random_half({17}, 4).set_requires_grad(true);
  layer_norm(x, scale, bias).backward(dy);
  EXPECT_EQ(scale.grad().dtype(), DType::f32);
  ASSERT_EQ(bias.grad().dtype(), DType::f16);
  const auto found = numbers(bias.grad()), g = numbers(dy);
  for (std::size_t c = 0; c < 17; ++c) {
    double sum = 0;
    for (std::size_t r = 0; r < 33; ++r) sum += g[r * 17 + c];
    ASSERT_NEAR(found[c], sum, kHalfStep * std::abs(sum) + 0x1p-20);
  }
}

// A layer's scale: a sum over what it was broadcast over.
TEST(HalfParameters, BroadcastProductAndSum) {
  check(
      {{5}, {5}}, {33, 5}, [](const auto& p, const Tensor& x) { return x * p[0] + p[1]; },
      testing::sum_bound(66));
}

// These write half, into memory of their own that is added to the gradient.
TEST(HalfParameters, OpsThatWriteTheirOperandsDtype) {
  check(
      {{4, 5}}, {4, 5}, [](const auto& p, const Tensor& x) { return x * p[0]; }, {}, kHalfStep);
  check(
      {{4, 5}}, {4, 5}, [](const auto& p, const Tensor& x) { return x + p[0]; }, {}, kHalfStep);
  check(
      {{4, 5}}, {4, 5}, [](const auto& p, const Tensor& x) { return x * tanh(p[0]); }, {},
      4 * kHalfStep);
}

// Both gradients of one node go to one place, whichever of them comes first.
TEST(HalfParameters, OneParameterTwice) {
  check(
      {{4, 5}}, {4, 5}, [](const auto& p, const Tensor&) { return p[0] * p[0]; }, {},
      4 * kHalfStep);
  check(
      {{4, 5}}, {4, 5}, [](const auto& p, const Tensor&) { return p[0] - p[0]; }, {}, kHalfStep);
}

TEST(HalfParameters, GradientOfTheParameterItself) {
  const Tensor p = parameter({3}, 1), dy = random_half({3}, 2);
  p.backward(dy);
  p.backward(dy);
  const auto found = to_vector<float>(p.grad());
  const auto g = numbers(dy);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(found[i], static_cast<float>(2 * g[i]));
}

}  // namespace
}  // namespace convoy
