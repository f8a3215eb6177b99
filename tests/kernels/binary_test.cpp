// SPDX-License-Identifier: MIT
#include "kernels/binary.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/binary.h"

namespace convoy {
namespace {

struct Case {
  const char* name;
  Shape a, b;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class BinaryTest : public ::testing::TestWithParam<Case> {};

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

template <class T>
void check(const Case& c, BinaryFn fn, double scale) {
  const std::string what = fmt::format("{} {} {}", fn, c.a, c.b);
  const Shape shape = broadcast_shapes("test", c.a, c.b);
  std::vector<T> a = testing::random_values<T>(c.a.count(), 1);
  std::vector<T> b = testing::random_values<T>(c.b.count(), 2);
  for (T& v : b) v += v < 0 ? T(-0.5) : T(0.5);  // away from 0, for the quotient
  std::vector<T> y(static_cast<std::size_t>(shape.count()), T(NAN));
  Binary op{fn,
            shape,
            broadcast_strides(c.a, contiguous_strides(c.a), shape),
            broadcast_strides(c.b, contiguous_strides(c.b), shape),
            a.data(),
            b.data(),
            y.data(),
            kDType<T>,
            scale};
  run(op, {}, nullptr, {});
  const std::vector<double> expected = reference::binary<T>(op);
  testing::expect_close(y, expected, {}, what);

  std::vector<T> sum(y.size(), T(0.25));
  op.y = sum.data();
  op.accumulate = true;
  run(op, {}, nullptr, {});
  std::vector<double> expected_sum = expected;
  for (double& v : expected_sum) v += 0.25;
  testing::expect_close(sum, expected_sum, {.scale = 2}, what + " accumulate");
}

TEST_P(BinaryTest, AgreesWithTheDefinition) {
  for (const BinaryFn fn : {BinaryFn::add, BinaryFn::sub, BinaryFn::mul, BinaryFn::div}) {
    for (const double scale : {1.0, -0.5}) {
      check<float>(GetParam(), fn, scale);
      check<double>(GetParam(), fn, scale);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BinaryTest,
    ::testing::Values(Case{"scalars", {}, {}}, Case{"one", {1}, {1, 1}}, Case{"same", {7}, {7}},
                      Case{"same_large", {3, 41, 331}, {3, 41, 331}},
                      Case{"scalar_right", {5, 13}, {}}, Case{"scalar_left", {}, {5, 13}},
                      Case{"channel", {2, 3, 5, 7}, {7}}, Case{"channel_large", {257, 129}, {129}},
                      Case{"channel_left", {7}, {2, 3, 5, 7}},
                      Case{"per_sample", {4, 3, 3, 5}, {4, 1, 1, 5}},
                      Case{"per_row", {31, 17}, {31, 1}}, Case{"outer", {31, 1}, {17}},
                      Case{"interleaved", {2, 1, 3, 1, 5}, {4, 1, 6, 1}},
                      Case{"empty", {0, 3}, {3}}, Case{"empty_inside", {2, 0, 3}, {1, 1, 3}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Binary, TakesTransposedAndReversedOperands) {
  const std::vector<double> a = testing::random_values<double>(35, 1);
  const std::vector<double> b = testing::random_values<double>(35, 2);
  std::vector<double> y(35);
  const Binary op{BinaryFn::sub, {5, 7},        {1, 5},   {-7, -1},
                  a.data(),      b.data() + 34, y.data(), DType::f64};
  run(op, {}, nullptr, {});
  EXPECT_EQ(y, reference::binary<double>(op));
  EXPECT_EQ(y[1], a[5] - b[33]);
}

TEST(Binary, WorksInPlace) {
  std::vector<float> a = testing::random_values<float>(1000, 1), b = a;
  run(dense_binary(BinaryFn::add, 1000, a.data(), b.data(), a.data(), DType::f32), {}, nullptr, {});
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], 2 * b[i]);
}

TEST(Binary, KeepsNaNAndInfinity) {
  const float a[] = {NAN, 1, INFINITY, 0}, b[] = {1, 0, INFINITY, 0};
  float y[4];
  run(dense_binary(BinaryFn::div, 4, a, b, y, DType::f32), {}, nullptr, {});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], INFINITY);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST(Binary, BroadcastStridesRefuseWhatDoesNotFit) {
  EXPECT_EQ(broadcast_strides({3, 1}, {1, 1}, {2, 3, 4}), (Strides{0, 1, 0}));
  EXPECT_THROW(broadcast_strides({3}, {1}, {2}), Error);
  EXPECT_THROW(broadcast_strides({1, 3}, {3, 1}, {3}), Error);
}

}  // namespace
}  // namespace convoy
