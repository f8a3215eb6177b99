// SPDX-License-Identifier: MIT
// Of an op that is linear in an operand, the backward pass is the adjoint of the forward one:
// <f(v) - f(0), u> = <v, backward(u)>, to rounding in double precision. Over 200 drawn problems an
// op, with more taps, groups and edges than differences could afford.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"

namespace convoy {
namespace {

using testing::random_values;
using Doubles = std::vector<double>;

class Draws {
 public:
  std::int64_t in(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool coin() { return random_() % 2 == 0; }
  Tensor tensor(const Shape& shape) {
    return from_vector(random_values<double>(shape.count(), ++seed_), shape);
  }
  Tensor positive(const Shape& shape) {
    Doubles values = random_values<double>(shape.count(), ++seed_);
    for (double& v : values) v = 1 + v / 2;
    return from_vector(values, shape);
  }
  Tensor image() { return tensor({in(0, 3), in(1, 13), in(1, 11), in(1, 17)}); }

 private:
  std::mt19937 random_{17};
  std::uint32_t seed_ = 0;
};

using Linear = std::function<Tensor(const Tensor& v)>;

void expect_adjoint(Draws& draws, const Tensor& operand, const Linear& f) {
  const Tensor v = operand.clone().set_requires_grad(true);
  const Tensor y = f(v);
  const Tensor u = draws.tensor(y.shape());
  y.backward(u);
  ASSERT_EQ(v.count() == 0 || v.grad().defined(), true);
  const Doubles at_v = to_vector<double>(y),
                at_0 = to_vector<double>(f(zeros(v.shape(), v.like()))),
                weights = to_vector<double>(u), x = to_vector<double>(v),
                gradient = v.count() == 0 ? Doubles() : to_vector<double>(v.grad());
  double forward = 0, size = 0;
  for (std::size_t i = 0; i < at_v.size(); ++i) {
    forward += (at_v[i] - at_0[i]) * weights[i];
    size += (std::abs(at_v[i]) + std::abs(at_0[i])) * std::abs(weights[i]);
  }
  const double backward = std::inner_product(x.begin(), x.end(), gradient.begin(), 0.0);
  ASSERT_NEAR(backward, forward, 1e-12 * size) << fmt::format("x {}, y {}", v.shape(), y.shape());
}

// One draw of an op.
struct Problem {
  const char* name;
  void (*check)(Draws& draws);
};
void PrintTo(const Problem& problem, std::ostream* out) { *out << problem.name; }

void check_conv2d(Draws& d) {
  const std::int64_t groups = d.in(1, 4);
  Conv2dOptions o{.stride = {d.in(1, 3), d.in(1, 3)},
                  .padding = {d.in(0, 3), d.in(0, 3)},
                  .dilation = {d.in(1, 3), d.in(1, 3)},
                  .groups = groups};
  const std::int64_t r = d.in(1, 4), s = d.in(1, 4), channels = groups * d.in(1, 5);
  const Shape xs{d.in(0, 3), o.dilation[0] * (r - 1) + d.in(1, 7),
                 o.dilation[1] * (s - 1) + d.in(1, 7), channels};
  const Shape ws{groups * d.in(1, 5), r, s, channels / groups};
  const Tensor x = d.tensor(xs), weight = d.tensor(ws), bias = d.tensor({ws[0]});
  expect_adjoint(d, x, [&](const Tensor& v) { return conv2d(v, weight, bias, o); });
  expect_adjoint(d, weight, [&](const Tensor& v) { return conv2d(x, v, bias, o); });
  expect_adjoint(d, bias, [&](const Tensor& v) { return conv2d(x, weight, v, o); });
}

void check_avg_pool2d(Draws& d) {
  const std::int64_t r = d.in(1, 5), s = d.in(1, 5);
  const Pool2dOptions o{.kernel_size = {r, s},
                        .stride = {d.in(0, 3), d.in(0, 3)},
                        .padding = {d.in(0, r / 2), d.in(0, s / 2)},
                        .ceil_mode = d.coin(),
                        .count_include_pad = d.coin()};
  const Tensor x = d.tensor({d.in(0, 3), r + d.in(0, 8), s + d.in(0, 8), d.in(1, 17)});
  expect_adjoint(d, x, [&](const Tensor& v) { return avg_pool2d(v, o); });
}

void check_adaptive_avg_pool2d(Draws& d) {
  const PoolSize size{d.in(1, 9), d.in(1, 9)};
  expect_adjoint(d, d.image(), [&](const Tensor& v) { return adaptive_avg_pool2d(v, size); });
}

void check_global_avg_pool(Draws& d) { expect_adjoint(d, d.image(), global_avg_pool); }

void check_upsample(Draws& d) {
  const bool bilinear = d.coin(), by_factor = d.coin();
  UpsampleOptions o{.mode = bilinear ? UpsampleMode::bilinear : UpsampleMode::nearest,
                    .align_corners = bilinear && d.coin()};
  if (by_factor) {
    o.scale_factor = {1 + static_cast<double>(d.in(0, 7)) / 4,
                      1 + static_cast<double>(d.in(0, 7)) / 3};
  } else {
    o.size = {d.in(1, 20), d.in(1, 20)};
  }
  expect_adjoint(d, d.image(), [&](const Tensor& v) { return upsample(v, o); });
}

void check_batch_norm_in_evaluation(Draws& d) {
  const Tensor x = d.image();
  const Shape c{x.size(3)};
  const Tensor scale = d.tensor(c), bias = d.tensor(c), mean = d.tensor(c), var = d.positive(c);
  const auto norm = [&](const Tensor& v, const Tensor& s, const Tensor& b) {
    return batch_norm(v, s, b, mean, var, false);
  };
  expect_adjoint(d, x, [&](const Tensor& v) { return norm(v, scale, bias); });
  expect_adjoint(d, scale, [&](const Tensor& v) { return norm(x, v, bias); });
  expect_adjoint(d, bias, [&](const Tensor& v) { return norm(x, scale, v); });
}

void check_subsample_pad(Draws& d) {
  const std::int64_t stride = d.in(1, 4), padding = d.in(0, 9);
  expect_adjoint(d, d.image(), [&](const Tensor& v) { return subsample_pad(v, stride, padding); });
}

void check_matmul(Draws& d) {
  const std::int64_t batch = d.in(1, 3), m = d.in(0, 9), n = d.in(1, 9), k = d.in(1, 40);
  const Tensor a = d.tensor({batch, m, k}),
               b = d.coin() ? d.tensor({k, n}) : d.tensor({batch, k, n});
  expect_adjoint(d, a, [&](const Tensor& v) { return matmul(v, b); });
  expect_adjoint(d, b, [&](const Tensor& v) { return matmul(a, v); });
}

void check_linear(Draws& d) {
  const std::int64_t in = d.in(1, 40), out = d.in(1, 20);
  const Tensor x = d.tensor({d.in(0, 5), d.in(1, 5), in}), weight = d.tensor({out, in}),
               bias = d.tensor({out});
  expect_adjoint(d, x, [&](const Tensor& v) { return linear(v, weight, bias); });
  expect_adjoint(d, weight, [&](const Tensor& v) { return linear(x, v, bias); });
  expect_adjoint(d, bias, [&](const Tensor& v) { return linear(x, weight, v); });
}

class Adjoint : public ::testing::TestWithParam<Problem> {};
INSTANTIATE_TEST_SUITE_P(
    Ops, Adjoint,
    ::testing::Values(Problem{"conv2d", check_conv2d}, Problem{"avg_pool2d", check_avg_pool2d},
                      Problem{"adaptive_avg_pool2d", check_adaptive_avg_pool2d},
                      Problem{"global_avg_pool", check_global_avg_pool},
                      Problem{"upsample", check_upsample},
                      Problem{"batch_norm_in_evaluation", check_batch_norm_in_evaluation},
                      Problem{"subsample_pad", check_subsample_pad},
                      Problem{"matmul", check_matmul}, Problem{"linear", check_linear}),
    [](const auto& problem) { return problem.param.name; });

TEST_P(Adjoint, OfTheForwardPass) {
  Draws draws;
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i) GetParam().check(draws);
}

}  // namespace
}  // namespace convoy
