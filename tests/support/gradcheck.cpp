// SPDX-License-Identifier: MIT
#include "tests/support/gradcheck.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "runtime/ops/view.h"
#include "tests/support/compare.h"

namespace convoy::testing {
namespace {

bool wants_gradient(const Tensor& x) { return x.defined() && x.impl()->requires_grad; }

double weighted_sum(const Tensor& y, const std::vector<double>& weights) {
  const std::vector<double> values = to_vector<double>(y);
  return std::inner_product(values.begin(), values.end(), weights.begin(), 0.0);
}

// The derivative by element `i` of input memory `at`, f evaluated twice.
double central_difference(const Function& f, const Inputs& inputs, double* at,
                          const std::vector<double>& weights, double eps) {
  const NoGrad inference;
  const double before = *at;
  *at = before + eps;
  const double above = weighted_sum(f(inputs), weights);
  *at = before - eps;
  const double below = weighted_sum(f(inputs), weights);
  *at = before;
  return (above - below) / (2 * eps);
}

std::vector<std::vector<double>> analytic_gradients(const Function& f, const Inputs& inputs,
                                                    std::vector<double>& weights) {
  for (const Tensor& x : inputs) {
    if (wants_gradient(x)) Tensor(x).zero_grad();
  }
  const Tensor y = f(inputs);
  weights = random_values<double>(y.count(), 99);
  if (y.requires_grad()) y.backward(from_vector(weights, y.shape(), y.device()));
  std::vector<std::vector<double>> gradients;
  for (const Tensor& x : inputs) {
    const bool has = wants_gradient(x) && x.grad().defined();
    gradients.push_back(has ? to_vector<double>(x.grad()) : std::vector<double>{});
  }
  return gradients;
}

// Address of element `i`, in row-major order, of a tensor with any strides.
double* element(const Tensor& x, std::int64_t i) {
  std::int64_t at = 0;
  for (int d = x.rank() - 1; d >= 0; --d) {
    at += i % x.shape()[d] * x.strides()[d];
    i /= x.shape()[d];
  }
  return x.as<double>() + at;
}

// The first element of input `k` whose gradient times `factor` is not what differences give.
std::string first_difference(const Gradients& gradients, const Inputs& inputs, std::size_t k,
                             const GradcheckOptions& options, double factor = 1) {
  for (std::size_t i = 0; i < gradients.differences[k].size(); ++i) {
    const double found = gradients.backward[k][i] * factor, numeric = gradients.differences[k][i];
    if (!(std::abs(found - numeric) <= options.atol + options.rtol * std::abs(numeric))) {
      return fmt::format("input {} of shape {}, element {}: backward gives {}, differences {}", k,
                         inputs[k].shape(), i, found, numeric);
    }
  }
  return "";
}

std::string first_difference(const Gradients& gradients, const Inputs& inputs,
                             const GradcheckOptions& options) {
  if (gradients.backward.empty()) return "two backward runs differ";
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (gradients.backward[k].size() != gradients.differences[k].size()) {
      return fmt::format("input {} of shape {} got no gradient", k, inputs[k].shape());
    }
    const std::string difference = first_difference(gradients, inputs, k, options);
    if (!difference.empty()) return difference;
  }
  return "";
}

}  // namespace

Gradients gradients_of(const Function& f, const Inputs& inputs, double eps) {
  std::vector<double> weights;
  Gradients gradients{analytic_gradients(f, inputs, weights), {}};
  if (gradients.backward != analytic_gradients(f, inputs, weights)) return {};
  for (const Tensor& x : inputs) {
    std::vector<double>& differences = gradients.differences.emplace_back();
    if (!wants_gradient(x)) continue;
    for (std::int64_t i = 0; i < x.count(); ++i) {
      differences.push_back(central_difference(f, inputs, element(x, i), weights, eps));
    }
  }
  return gradients;
}

std::string gradcheck(const Function& f, const Inputs& inputs, const GradcheckOptions& options) {
  return first_difference(gradients_of(f, inputs, options.eps), inputs, options);
}

void Gradchecker::check(const Inputs& inputs, const Function& f) {
  SCOPED_TRACE(fmt::format("{}, sample {}", op_, ++samples_));
  const Gradients gradients = gradients_of(f, inputs, GradcheckOptions().eps);
  ASSERT_EQ(first_difference(gradients, inputs, {}), "");
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::vector<double>& backward = gradients.backward[k];
    if (std::ranges::none_of(backward, [](double g) { return std::abs(g) > 0.01; })) continue;
    ++noticed_;
    EXPECT_NE(first_difference(gradients, inputs, k, {}, 1.01), "")
        << "the gradient of input " << k << " off by 1 % went unnoticed";
  }
  const Tensor y = f(inputs);
  {
    const NoGrad inference;
    const Tensor same = f(inputs);
    const auto is_same = [&](const Tensor& x) { return x.defined() && x.impl() == same.impl(); };
    EXPECT_TRUE(!same.requires_grad() || std::ranges::any_of(inputs, is_same));
    EXPECT_EQ(to_vector<double>(same), to_vector<double>(y)) << "without the tape";
  }
  for (const Tensor& x : inputs) {
    if (!x.defined()) continue;
    empty_ |= x.count() == 0;
    one_element_ |= x.count() == 1;
    view_ |= !x.is_contiguous();
  }
}

std::string Gradchecker::missing() const {
  std::string text;
  if (!empty_) text += "an empty input ";
  if (!one_element_) text += "an input of one element ";
  if (!view_) text += "an input that is a view ";
  return text;
}

Tensor Gradchecker::random(const Shape& shape, double low, double high) {
  std::vector<double> values = random_values<double>(shape.count(), seed_++);
  for (double& v : values) v = low + (v + 1) / 2 * (high - low);
  return Tensor(from_vector(values, shape)).set_requires_grad(true);
}

Tensor Gradchecker::distinct(const Shape& shape, double gap) {
  std::vector<double> values(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double size = gap * (1 + static_cast<double>(i / 2));
    values[i] = i % 2 ? size : -size;
  }
  std::shuffle(values.begin(), values.end(), std::mt19937(seed_++));
  return Tensor(from_vector(values, shape)).set_requires_grad(true);
}

Tensor Gradchecker::noncontiguous(const Shape& shape) {
  Shape reversed = shape, order = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    reversed[i] = shape[shape.rank() - 1 - i];
    order[i] = shape.rank() - 1 - i;
  }
  return permute(random(reversed).detach(), order).set_requires_grad(true);
}

std::vector<GradcheckEntry>& gradcheck_entries() {
  static std::vector<GradcheckEntry> entries;
  return entries;
}

bool add_gradcheck(const char* op, void (*samples)(Gradchecker&)) {
  gradcheck_entries().push_back({op, samples});
  return true;
}

}  // namespace convoy::testing
