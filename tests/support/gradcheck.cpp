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
    if (x.defined() && x.impl()->requires_grad) Tensor(x).zero_grad();
  }
  const Tensor y = f(inputs);
  weights = random_values<double>(y.count(), 99);
  if (y.requires_grad()) y.backward(from_vector(weights, y.shape(), y.device()));
  std::vector<std::vector<double>> gradients;
  for (const Tensor& x : inputs) {
    const bool has = x.defined() && x.impl()->requires_grad && x.grad().defined();
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

}  // namespace

std::string gradcheck(const Function& f, const Inputs& inputs, const GradcheckOptions& options,
                      double* largest) {
  std::vector<double> weights;
  const auto gradients = analytic_gradients(f, inputs, weights);
  if (gradients != analytic_gradients(f, inputs, weights)) return "two backward runs differ";
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Tensor& x = inputs[k];
    if (!x.defined() || !x.impl()->requires_grad) continue;
    if (gradients[k].size() != static_cast<std::size_t>(x.count())) {
      return fmt::format("input {} of shape {} got no gradient", k, x.shape());
    }
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double analytic = gradients[k][static_cast<std::size_t>(i)];
      if (largest != nullptr) *largest = std::max(*largest, std::abs(analytic));
      const double numeric = central_difference(f, inputs, element(x, i), weights, options.eps);
      const double found = analytic * options.perturb;
      if (!(std::abs(found - numeric) <= options.atol + options.rtol * std::abs(numeric))) {
        return fmt::format("input {} of shape {}, element {}: backward gives {}, differences {}", k,
                           x.shape(), i, found, numeric);
      }
    }
  }
  return "";
}

void Gradchecker::check(const Inputs& inputs, const Function& f) {
  ++samples_;
  double largest = 0;
  EXPECT_EQ(gradcheck(f, inputs, {}, &largest), "") << op_ << ", sample " << samples_;
  if (largest > 0.01) {
    EXPECT_NE(gradcheck(f, inputs, {.perturb = 1.01}), "")
        << op_ << ", sample " << samples_ << ": a gradient off by 1 % went unnoticed";
  }
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
