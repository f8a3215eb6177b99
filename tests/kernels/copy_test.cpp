// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include <gtest/gtest.h>

#include "kernels/half.h"
#include "tests/support/compare.h"
#include "tests/support/reference/binary.h"

namespace convoy {
namespace {

template <class To, class From>
std::vector<To> cast(const std::vector<From>& x, DType from, DType to) {
  std::vector<To> y(x.size());
  run(Cast{std::ssize(x), x.data(), from, y.data(), to}, {}, nullptr, {});
  return y;
}

TEST(Fill, EveryDType) {
  for (const DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::f64, DType::u8, DType::i32, DType::i64}) {
    for (const std::int64_t count : {0, 1, 7, 70001}) {
      std::vector<double> room(static_cast<std::size_t>(count) + 1, -1);
      std::vector<double> back(static_cast<std::size_t>(count));
      run(Fill{count, room.data(), 3.0, dtype}, {}, nullptr, {});
      run(Cast{count, room.data(), dtype, back.data(), DType::f64}, {}, nullptr, {});
      EXPECT_EQ(back, std::vector<double>(back.size(), 3.0)) << name(dtype);
      EXPECT_EQ(room.back(), -1);
    }
  }
}

struct CopyCase {
  const char* name;
  Shape shape;
  Strides x_strides, y_strides;
};
void PrintTo(const CopyCase& c, std::ostream* out) { *out << c.name; }

class CopyTest : public ::testing::TestWithParam<CopyCase> {};

template <class T>
void check_copy(const CopyCase& c, DType dtype) {
  std::vector<T> x(40000), y(40000, T(7)), expected = y;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i % 251);
  for (std::int64_t i = 0; i < c.shape.count(); ++i) {
    expected[static_cast<std::size_t>(reference::position(c.shape, c.y_strides, i))] =
        x[static_cast<std::size_t>(reference::position(c.shape, c.x_strides, i))];
  }
  run(Copy{c.shape, c.x_strides, c.y_strides, x.data(), y.data(), dtype}, {}, nullptr, {});
  EXPECT_EQ(y, expected) << name(dtype);
}

TEST_P(CopyTest, MovesEveryElement) {
  check_copy<float>(GetParam(), DType::f32);
  check_copy<double>(GetParam(), DType::f64);
  check_copy<std::uint8_t>(GetParam(), DType::u8);
  check_copy<std::uint16_t>(GetParam(), DType::bf16);
  check_copy<std::int64_t>(GetParam(), DType::i64);
}

TEST_P(CopyTest, Accumulates) {
  const CopyCase& c = GetParam();
  const std::vector<double> x = testing::random_values<double>(40000, 5);
  std::vector<double> y(40000, 1), expected = y;
  for (std::int64_t i = 0; i < c.shape.count(); ++i) {
    expected[static_cast<std::size_t>(reference::position(c.shape, c.y_strides, i))] +=
        x[static_cast<std::size_t>(reference::position(c.shape, c.x_strides, i))];
  }
  run(Copy{c.shape, c.x_strides, c.y_strides, x.data(), y.data(), DType::f64, true}, {}, nullptr,
      {});
  EXPECT_EQ(y, expected);
}

INSTANTIATE_TEST_SUITE_P(
    Strides, CopyTest,
    ::testing::Values(
        CopyCase{"scalar", {}, {}, {}}, CopyCase{"empty", {3, 0}, {5, 1}, {1, 1}},
        CopyCase{"dense", {199, 201}, {201, 1}, {201, 1}},
        CopyCase{"transpose", {131, 67}, {1, 131}, {67, 1}},
        CopyCase{"nchw_to_nhwc", {3, 17, 19, 5}, {1615, 19, 1, 323}, {1615, 95, 5, 1}},
        CopyCase{"nhwc_to_nchw", {3, 5, 17, 19}, {1615, 1, 95, 5}, {1615, 323, 19, 1}},
        CopyCase{"out_of_a_slice", {7, 3}, {11, 1}, {3, 1}},
        CopyCase{"into_a_slice", {7, 3, 2}, {6, 2, 1}, {100, 10, 3}},
        CopyCase{"broadcast", {4, 33}, {0, 1}, {33, 1}},
        CopyCase{"columns", {33, 4}, {1, 0}, {4, 1}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Copy, AccumulatingIntegersIsRefused) {
  int x = 1, y = 2;
  EXPECT_THROW(run(Copy{{1}, {1}, {1}, &x, &y, DType::i32, true}, {}, nullptr, {}), Error);
}

TEST(Cast, HalvesGoThereAndBack) {
  // Every 16-bit pattern survives a trip through f32 (NaN stays NaN).
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  for (const DType half : {DType::f16, DType::bf16}) {
    const auto wide = cast<float>(all, half, DType::f32);
    const auto back = cast<std::uint16_t>(wide, DType::f32, half);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (std::isnan(wide[i])) {
        const std::uint16_t exponent = half == DType::f16 ? 0x7c00 : 0x7f80;
        EXPECT_EQ(back[i] & exponent, exponent);
        EXPECT_NE(back[i] & ~exponent & 0x7fff, 0);
      } else {
        ASSERT_EQ(back[i], all[i]) << name(half);
      }
    }
  }
}

TEST(Cast, KnownHalfValues) {
  const std::vector<float> x = {1,        -2,         65504,    65519.996f, 65520,    0x1p-24f,
                                0x1p-25f, 0x1.8p-25f, 0x1p-14f, 0.1f,       INFINITY, -0.0f};
  EXPECT_EQ(cast<std::uint16_t>(x, DType::f32, DType::f16),
            (std::vector<std::uint16_t>{0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0x0001, 0x0000,
                                        0x0001, 0x0400, 0x2e66, 0x7c00, 0x8000}));
  EXPECT_EQ(cast<std::uint16_t>(std::vector<float>{1, 0.1f, 3.4e38f, INFINITY, -0.0f}, DType::f32,
                                DType::bf16),
            (std::vector<std::uint16_t>{0x3f80, 0x3dcd, 0x7f80, 0x7f80, 0x8000}));
}

// Nearest even, found by looking at the two neighbours of the value.
void expect_nearest(double value, std::uint16_t found, DType half) {
  const auto at = [&](int bits) {
    const auto b = static_cast<std::uint16_t>(bits);
    return static_cast<double>(half == DType::f16 ? to_float(F16{b}) : to_float(BF16{b}));
  };
  const double error = std::abs(at(found) - value);
  const double below = std::abs(at(found - 1) - value), above = std::abs(at(found + 1) - value);
  EXPECT_TRUE(error < below || (error == below && found % 2 == 0)) << value << " " << name(half);
  EXPECT_TRUE(error < above || (error == above && found % 2 == 0)) << value << " " << name(half);
}

TEST(Cast, RoundsToNearestEvenOnce) {
  std::vector<double> x;
  for (const double v : testing::random_values<double>(2000, 4)) x.push_back(0.001 + std::abs(v));
  for (int i = 1; i < 40; i += 2) {  // ties, and values that a rounding to f32 would turn into ties
    for (const double half_step : {0x1p-11, 0x1p-8}) {
      x.push_back(1 + i * half_step);
      x.push_back(1 + i * half_step + 0x1p-40);
      x.push_back(1 + i * half_step - 0x1p-40);
    }
  }
  for (const DType half : {DType::f16, DType::bf16}) {
    const auto y = cast<std::uint16_t>(x, DType::f64, half);
    for (std::size_t i = 0; i < x.size(); ++i) expect_nearest(x[i], y[i], half);
    const auto single = cast<float>(x, DType::f64, DType::f32);
    const auto z = cast<std::uint16_t>(single, DType::f32, half);
    for (std::size_t i = 0; i < x.size(); ++i) expect_nearest(single[i], z[i], half);
  }
}

TEST(Cast, FloatsBecomeIntegersByTruncationAndSaturation) {
  const std::vector<double> x = {1.9, -1.9, 0, 255.9, 256, -1, 3e9, -3e9, 1e30, -1e30, NAN};
  EXPECT_EQ(cast<std::int32_t>(x, DType::f64, DType::i32),
            (std::vector<std::int32_t>{1, -1, 0, 255, 256, -1, INT32_MAX, INT32_MIN, INT32_MAX,
                                       INT32_MIN, 0}));
  EXPECT_EQ(cast<std::uint8_t>(x, DType::f64, DType::u8),
            (std::vector<std::uint8_t>{1, 0, 0, 255, 255, 0, 255, 0, 255, 0, 0}));
  EXPECT_EQ(
      cast<std::int64_t>(std::vector<float>{9.3e18f, -2.5f, 16777216}, DType::f32, DType::i64),
      (std::vector<std::int64_t>{INT64_MAX, -2, 16777216}));
}

TEST(Cast, IntegersWrapAndWiden) {
  EXPECT_EQ(cast<std::uint8_t>(std::vector<std::int64_t>{-1, 257, 5}, DType::i64, DType::u8),
            (std::vector<std::uint8_t>{255, 1, 5}));
  EXPECT_EQ(cast<float>(std::vector<std::uint8_t>{0, 255}, DType::u8, DType::f32),
            (std::vector<float>{0, 255}));
  EXPECT_EQ(cast<std::int64_t>(std::vector<std::int32_t>{-7}, DType::i32, DType::i64),
            (std::vector<std::int64_t>{-7}));
}

TEST(Cast, EveryPairKeepsSmallIntegers) {
  const DType all[] = {DType::f32, DType::f16, DType::bf16, DType::f64,
                       DType::u8,  DType::i32, DType::i64};
  const std::vector<double> x = {0, 1, 2, 3, 100};
  for (const DType from : all) {
    for (const DType to : all) {
      std::vector<double> first(5), second(5), back(5);
      run(Cast{5, x.data(), DType::f64, first.data(), from}, {}, nullptr, {});
      run(Cast{5, first.data(), from, second.data(), to}, {}, nullptr, {});
      run(Cast{5, second.data(), to, back.data(), DType::f64}, {}, nullptr, {});
      EXPECT_EQ(back, x) << name(from) << " to " << name(to);
    }
  }
}

}  // namespace
}  // namespace convoy
