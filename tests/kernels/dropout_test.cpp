// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/reference/dropout.h"

namespace convoy {
namespace {

constexpr PhiloxKey kKey{.seed = 42, .stream = 3};

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

template <class T>
void check(std::int64_t count, double p, std::int64_t row) {
  StepState state;
  state.step = 5;
  const std::vector<T> x = testing::random_values<T>(count, 1);
  std::vector<double> y_expected;
  for (std::int64_t i = 0; i < count; ++i) {
    y_expected.push_back(reference::dropout(kKey, x[static_cast<std::size_t>(i)], p, 5, i / row));
  }
  std::vector<T> y(x.size(), T(NAN));
  Dropout op{count, x.data(), y.data(), kKey, &state, p, kDType<T>, row};
  run(op, {}, nullptr, {});
  testing::expect_close(y, y_expected, {}, fmt::format("dropout {} {} {}", count, p, row));
  op.accumulate = true;
  run(op, {}, nullptr, {});
  for (double& v : y_expected) v *= 2;
  testing::expect_close(y, y_expected, {}, "dropout accumulate");
}

TEST(Dropout, AgreesWithTheDefinition) {
  for (const std::int64_t count : {0, 1, 3, 7, 1009, 40009}) {
    for (const double p : {0.0, 0.1, 0.5, 0.9}) {
      for (const std::int64_t row : {1, 2, 5, 1000}) {
        check<float>(count, p, row);
        check<double>(count, p, row);
      }
    }
  }
}

std::vector<float> drop(const std::vector<float>& x, double p, std::int64_t step) {
  StepState state;
  state.step = step;
  std::vector<float> y(x.size());
  run(Dropout{std::ssize(x), x.data(), y.data(), kKey, &state, p, DType::f32}, {}, nullptr, {});
  return y;
}

TEST(Dropout, TheEndsOfP) {
  const std::vector<float> x = testing::random_values<float>(1009, 1);
  EXPECT_EQ(drop(x, 0, 0), x);
  EXPECT_EQ(drop(x, 1, 0), std::vector<float>(1009, 0));
  EXPECT_EQ(drop({NAN, INFINITY}, 1, 0), (std::vector<float>{0, 0}));
  EXPECT_THROW(drop(x, 1.1, 0), Error);
  EXPECT_THROW(drop(x, NAN, 0), Error);
}

TEST(Dropout, KeepsTheMeanAndChangesFromStepToStep) {
  const std::vector<float> ones(100003, 1);
  const std::vector<float> first = drop(ones, 0.3, 0), second = drop(ones, 0.3, 1);
  double mean = 0, both = 0;
  for (std::size_t i = 0; i < ones.size(); ++i) {
    mean += first[i];
    both += first[i] != 0 && second[i] != 0;
  }
  EXPECT_NEAR(mean / 100003, 1, 0.01);
  EXPECT_NEAR(both / 100003, 0.49, 0.01) << "steps are not independent";
}

}  // namespace
}  // namespace convoy
