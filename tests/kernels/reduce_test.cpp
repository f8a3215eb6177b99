// SPDX-License-Identifier: MIT
#include "kernels/reduce.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/reduce.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace convoy {
namespace {

struct Case {
  const char* name;
  Shape shape;
  std::uint32_t axes;
  Strides strides = {};  // dense where empty
  Strides dense_or_given() const {
    return strides.rank() == shape.rank() ? strides : contiguous_strides(shape);
  }
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class ReduceTest : public ::testing::TestWithParam<Case> {};

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

void launch(const ReduceSum& op) {
  const Plan how = plan(op, Device{});
  std::vector<double> workspace(how.workspace_bytes / sizeof(double));
  run(op, how, workspace.data(), {});
}

std::int64_t extent_of_memory(const Shape& shape, const Strides& strides) {
  std::int64_t last = 0;
  for (int d = 0; d < shape.rank(); ++d) last += (shape[d] - 1) * strides[d];
  return shape.count() == 0 ? 0 : last + 1;
}

template <class T>
void check_sum(const Case& c) {
  const Strides strides = c.dense_or_given();
  const std::int64_t size = extent_of_memory(c.shape, strides);
  const std::vector<T> x = testing::random_values<T>(size, 1);
  const std::vector<T> f = testing::random_values<T>(size, 2);
  const std::int64_t outputs = reference::output_count(c.shape, c.axes);
  const double terms = static_cast<double>(c.shape.count()) /
                       static_cast<double>(std::max<std::int64_t>(outputs, 1));
  std::vector<T> y(static_cast<std::size_t>(outputs), T(NAN));
  ReduceSum op{c.shape, strides, c.axes, x.data(), y.data(), kDType<T>};
  launch(op);
  testing::expect_close(y, reference::sum(c.shape, c.axes, strides, x.data()), {.k = terms},
                        c.name);

  op.factor = f.data();
  op.factor_strides = strides;
  op.scale = -0.5;
  launch(op);
  auto products = reference::sum(c.shape, c.axes, strides, x.data(), strides, f.data());
  for (double& v : products) v *= -0.5;
  testing::expect_close(y, products, {.k = terms}, std::string(c.name) + " with a factor");

  op.accumulate = true;
  launch(op);
  for (double& v : products) v *= 2;
  testing::expect_close(y, products, {.k = terms}, std::string(c.name) + " accumulate");
}

TEST_P(ReduceTest, SumAgreesWithTheDefinition) {
  check_sum<float>(GetParam());
  check_sum<double>(GetParam());
}

template <class T>
void check_max(const Case& c) {
  const Strides strides = c.dense_or_given();
  std::vector<T> x = testing::random_values<T>(extent_of_memory(c.shape, strides), 3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::round(x[i] * 8) / 8;  // many ties
    if (i % 97 == 50) x[i] = static_cast<T>(NAN);
  }
  const auto expected = reference::argmax(c.shape, c.axes, strides, x.data());
  std::vector<std::int64_t> index(expected.size(), -7);
  std::vector<T> y(expected.size());
  const ReduceMax op{c.shape, strides, c.axes, x.data(), y.data(), index.data(), kDType<T>};
  if (c.shape.count() == 0 && !expected.empty()) {
    EXPECT_THROW(run(op, {}, nullptr, {}), Error);
    return;
  }
  run(op, {}, nullptr, {});
  EXPECT_EQ(index, expected) << c.name;

  // Backward: each output's gradient lands on the element that holds its maximum, and only there.
  std::vector<T> dy(expected.size()), dx(static_cast<std::size_t>(c.shape.count()), T(NAN));
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<T>(i + 1);
  ReduceMaxBackward back{c.shape, c.axes, dy.data(), index.data(), dx.data(), kDType<T>};
  run(back, {}, nullptr, {});
  for (int round = 1; round <= 2; ++round) {
    const Strides dense = contiguous_strides(c.shape);
    for (std::int64_t i = 0; i < c.shape.count(); ++i) {
      const auto place = reference::place_of(c.shape, dense, c.axes, i);
      const auto k = static_cast<std::size_t>(place.output);
      const bool chosen = place.term == expected[k];
      ASSERT_EQ(dx[static_cast<std::size_t>(i)], chosen ? static_cast<T>(round) * dy[k] : 0)
          << c.name;
      if (!chosen) continue;
      const T value =
          x[static_cast<std::size_t>(reference::place_of(c.shape, strides, c.axes, i).offset)];
      EXPECT_TRUE(y[k] == value || (std::isnan(y[k]) && std::isnan(value))) << c.name;
    }
    back.accumulate = true;
    run(back, {}, nullptr, {});
  }
}

TEST_P(ReduceTest, MaxAgreesWithTheDefinition) {
  check_max<float>(GetParam());
  check_max<double>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ReduceTest,
    ::testing::Values(
        Case{"scalar", {}, 0}, Case{"one", {1, 1}, 0b11}, Case{"no_axes", {5, 7}, 0},
        Case{"all", {3, 5, 7}, 0b111}, Case{"rows", {31, 1009}, 0b10},
        Case{"columns", {1009, 31}, 0b01}, Case{"wide_columns", {19, 601}, 0b01},
        Case{"channels", {3, 17, 19, 5}, 0b0111}, Case{"pixels", {3, 7, 5, 11}, 0b0110},
        Case{"outer_and_inner", {7, 11, 13}, 0b101}, Case{"middle", {7, 11, 13}, 0b010},
        Case{"five", {2, 3, 5, 7, 3}, 0b01010}, Case{"large", {211, 1009}, 0b11},
        Case{"large_columns", {40009, 3}, 0b01}, Case{"large_rows", {3, 40009}, 0b10},
        Case{"large_both", {2, 20011, 3}, 0b010}, Case{"empty", {0, 3}, 0b10},
        Case{"over_nothing", {3, 0}, 0b10}, Case{"transposed_rows", {31, 57}, 0b10, {1, 31}},
        Case{"transposed_columns", {31, 57}, 0b01, {1, 31}},
        Case{"slice", {13, 5, 7}, 0b011, {80, 10, 1}}, Case{"broadcast", {13, 5}, 0b01, {0, 1}},
        Case{"every_other", {13, 50}, 0b10, {100, 2}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ReduceSum, DoesNotDependOnThreads) {
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  // {100, 576}: shared out over threads, the outputs are summed in tiles of other widths.
  for (const Case& c : {Case{"", {70001}, 1}, Case{"", {9001, 33}, 1}, Case{"", {33, 9001}, 2},
                        Case{"", {100, 576}, 1}}) {
    const std::vector<double> x = testing::random_values<double>(c.shape.count(), 1);
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 2, 5}) {
      omp_set_num_threads(threads);
      auto& y =
          results.emplace_back(static_cast<std::size_t>(reference::output_count(c.shape, c.axes)));
      launch({c.shape, contiguous_strides(c.shape), c.axes, x.data(), y.data(), DType::f64});
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
  omp_set_num_threads(before);
#else
  GTEST_SKIP() << "built without OpenMP";
#endif
}

TEST(ReduceSum, FactorMayBroadcast) {
  // A sum of x[i][j] * f[j] over j: a matrix times a vector.
  const std::vector<double> x = testing::random_values<double>(35, 1);
  const std::vector<double> f = testing::random_values<double>(7, 2);
  std::vector<double> y(5);
  launch({{5, 7}, {7, 1}, 0b10, x.data(), y.data(), DType::f64, 1, false, f.data(), {0, 1}});
  testing::expect_close(y, reference::sum({5, 7}, 0b10, {7, 1}, x.data(), {0, 1}, f.data()),
                        {.k = 7}, "matrix times vector");
  std::vector<double> z(7);  // and over i, with a factor per row
  launch({{5, 7}, {7, 1}, 0b01, x.data(), z.data(), DType::f64, 1, false, f.data(), {1, 0}});
  testing::expect_close(z, reference::sum({5, 7}, 0b01, {7, 1}, x.data(), {1, 0}, f.data()),
                        {.k = 5}, "vector times matrix");
}

TEST(ReduceSum, KeepsNaNAndInfinity) {
  std::vector<float> x(100, 1), y(1);
  x[37] = INFINITY;
  launch({{100}, {1}, 1, x.data(), y.data(), DType::f32});
  EXPECT_EQ(y[0], INFINITY);
  x[90] = -INFINITY;
  launch({{100}, {1}, 1, x.data(), y.data(), DType::f32});
  EXPECT_TRUE(std::isnan(y[0]));
}

TEST(ReduceSum, ALongSumOfSmallTermsIsExactEnough) {
  const std::vector<float> x(3000000, 0.1f);
  float y = 0;
  launch({{3000000}, {1}, 1, x.data(), &y, DType::f32});
  EXPECT_FLOAT_EQ(y, static_cast<float>(3000000 * static_cast<double>(0.1f)));
}

TEST(Reduce, BroadcastAxes) {
  EXPECT_EQ(broadcast_axes({2, 3, 4}, {3, 1}), 0b101u);
  EXPECT_EQ(broadcast_axes({2, 3}, {2, 3}), 0u);
  EXPECT_EQ(broadcast_axes({1, 3}, {1, 1}), 0b10u);
  EXPECT_EQ(broadcast_axes({2, 3}, {}), 0b11u);
}

}  // namespace
}  // namespace convoy
