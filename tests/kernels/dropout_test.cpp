// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/errors.h"
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

// The parts of an array that begin at these elements.
template <class T>
std::vector<T> drop_parts(const std::vector<T>& x, std::int64_t row, std::int64_t first,
                          const std::vector<std::int64_t>& begins) {
  StepState state;
  state.step = 5;
  std::vector<T> y(x.size(), T(NAN));
  for (std::size_t part = 0; part < begins.size(); ++part) {
    const std::int64_t begin = begins[part];
    const std::int64_t end = part + 1 < begins.size() ? begins[part + 1] : std::ssize(x);
    Dropout op{end - begin, x.data() + begin, y.data() + begin, kKey, &state, 0.5, kDType<T>, row};
    op.first = first + begin;
    run(op, {}, nullptr, {});
  }
  return y;
}

template <class T>
void check_parts() {
  const std::vector<T> x = testing::random_values<T>(20011, 1);
  for (const std::int64_t first : {0, 5, 8, 11}) {
    const std::vector<T> whole = drop_parts(x, 1, first, {0});
    std::vector<double> y_expected;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto element = first + static_cast<std::int64_t>(i);
      y_expected.push_back(reference::dropout(kKey, x[i], 0.5, 5, element));
    }
    testing::expect_close(whole, y_expected, {}, fmt::format("dropout from {}", first));
    EXPECT_EQ(drop_parts(x, 1, first, {0, 1, 3, 4, 4, 9, 16, 22, 9007, 20008}), whole) << first;
  }
  for (const std::int64_t row : {2, 5, 1000}) {
    const std::vector<T> whole = drop_parts(x, row, 3 * row, {0});
    EXPECT_EQ(drop_parts(x, row, 3 * row, {0, row, 4 * row, 7 * row, 20 * row}), whole) << row;
    EXPECT_EQ(reference::dropout(kKey, 1, 0.5, 5, 3) > 0, whole[0] != 0) << row;
  }
}

TEST(Dropout, PartsAreDrawnAsTheWholeIs) {
  check_parts<float>();
  check_parts<double>();
}

TEST(Dropout, APartWritesNothingBeforeOrBehindIt) {
  StepState state;
  const std::vector<float> x(20, 1);
  for (const std::int64_t first : {4, 5, 6, 7}) {
    for (std::int64_t count = 0; count < 7; ++count) {
      std::vector<float> y(20, 8);
      Dropout op{count, x.data() + 5, y.data() + 5, kKey, &state, 0.5, DType::f32};
      op.first = first;
      run(op, {}, nullptr, {});
      for (std::int64_t i = 0; i < 20; ++i) {
        const bool written = i >= 5 && i < 5 + count;
        EXPECT_EQ(y[static_cast<std::size_t>(i)] == 8, !written) << first << " " << count;
      }
    }
  }
}

TEST(Dropout, PartsBeginWithARowOfTheWhole) {
  const auto refused = [](std::int64_t row, std::int64_t first) {
    Dropout op{0, nullptr, nullptr, kKey, nullptr, 0.5, DType::f32, row};
    op.first = first;
    return testing::error_of([&] { require_valid(op); });
  };
  testing::expect_says(refused(3, 4),
                       "first expects a multiple of the 3 elements of a row, 0 or more, found 4");
  EXPECT_NE(refused(1, -1), "");
  EXPECT_NE(refused(3, -3), "");
  EXPECT_EQ(refused(3, 6), "");
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
