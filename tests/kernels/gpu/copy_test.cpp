// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include <algorithm>
#include <cmath>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/binary.h"

namespace convoy::testing {
namespace {

constexpr DType kAll[] = {DType::f32, DType::f16, DType::bf16, DType::f64,
                          DType::u8,  DType::i32, DType::i64};

void check_fill(DType dtype, std::int64_t count, double value, double expected,
                std::int64_t shift = kAligned) {
  SCOPED_TRACE(name(dtype));
  const FencedArray y(dtype, count, shift);
  run_on_device(Fill{count, y.data(), value, dtype});
  expect_equal(y, std::vector<double>(static_cast<std::size_t>(count), expected), "fill");
}

GPU_CASE(FillKernel, AnySizeAndAlignment) {
  for (const DType dtype : kAll) {
    const double expected = is_floating(dtype) ? rounded(dtype, {7.3})[0] : 7;
    for (const std::int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257, 1000}) {
      for (const std::int64_t shift : {kAligned, kMisaligned}) {
        check_fill(dtype, count, 7.3, expected, shift);
      }
    }
  }
}

GPU_CASE(FillKernel, ConvertsAsCastDoes) {
  const double inf = HUGE_VAL;
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f64}) {
    for (const double v : {0.0, -0.0, inf, -inf, double{NAN}, 0x1p-24}) {
      check_fill(dtype, 9, v, v);
    }
  }
  check_fill(DType::f16, 9, 65519.9999, 65504);
  check_fill(DType::f16, 9, 65520, inf);
  check_fill(DType::f16, 9, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10);  // by way of f32 a tie, and 1
  check_fill(DType::bf16, 9, 1e300, inf);
  check_fill(DType::f32, 9, 1e300, inf);
  check_fill(DType::u8, 9, -1.5, 0);
  check_fill(DType::u8, 9, 255.9, 255);
  check_fill(DType::u8, 9, 1e9, 255);
  check_fill(DType::i32, 9, -1.9, -1);
  check_fill(DType::i32, 9, 3e9, INT32_MAX);
  check_fill(DType::i32, 9, -3e9, INT32_MIN);
  check_fill(DType::i64, 9, 1e300, 0x1p63);  // INT64_MAX, as a double
  check_fill(DType::i64, 9, -inf, -0x1p63);
  check_fill(DType::i64, 9, NAN, 0);
}

struct CopyCase {
  Shape shape;
  Strides x_strides, y_strides;
};
const CopyCase kCopyCases[] = {
    {{}, {}, {}},
    {{3, 0}, {5, 1}, {1, 1}},
    {{19, 21}, {21, 1}, {21, 1}},
    {{31, 7}, {1, 31}, {7, 1}},
    {{2, 7, 9, 5}, {315, 9, 1, 63}, {315, 45, 5, 1}},  // NCHW to NHWC
    {{2, 5, 7, 9}, {315, 1, 45, 5}, {315, 63, 9, 1}},
    {{7, 3}, {11, 1}, {3, 1}},
    {{7, 3, 2}, {6, 2, 1}, {100, 10, 3}},
    {{4, 33}, {0, 1}, {33, 1}},
    {{33, 4}, {1, 0}, {4, 1}},
    {{6, 16}, {16, 1}, {48, 1}},  // in packs, but for u8
    {{2, 3, 32}, {96, 32, 1}, {160, 48, 1}},
    {{4, 32}, {0, 1}, {32, 1}},
    {{6, 16}, {16, 1}, {49, 1}},
    {{9}, {2}, {1}},
    {{9}, {1}, {2}},
};

void check_copy(const CopyCase& c, DType dtype, bool accumulate, std::int64_t shift = kAligned) {
  SCOPED_TRACE(fmt::format("{} {} from {} to {}", dtype, c.shape, c.x_strides, c.y_strides));
  std::vector<double> x(700), y(700, 7);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i % 251);
  const FencedArray from(dtype, x, shift), to(dtype, y, shift);
  for (std::int64_t i = 0; i < c.shape.count(); ++i) {
    double& place = y[static_cast<std::size_t>(reference::position(c.shape, c.y_strides, i))];
    place = (accumulate ? place : 0) +
            x[static_cast<std::size_t>(reference::position(c.shape, c.x_strides, i))];
  }
  if (accumulate) y = rounded(dtype, y);  // bf16 has 8 bits
  run_on_device(Copy{c.shape, c.x_strides, c.y_strides, from.data(), to.data(), dtype, accumulate});
  expect_equal(to, y, "copy");
}

GPU_CASE(CopyKernel, AnyStrides) {
  for (const CopyCase& c : kCopyCases) {
    for (const DType dtype : kAll) {
      check_copy(c, dtype, false);
      if (is_floating(dtype)) check_copy(c, dtype, true);
      if (c.shape.rank() == 2) check_copy(c, dtype, false, kMisaligned);
    }
  }
}

GPU_CASE(CopyKernel, AnySizeAndAlignment) {
  for (const std::int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257}) {
    for (const std::int64_t shift : {kAligned, kMisaligned}) {
      for (const DType dtype : kAll) check_copy({{count}, {1}, {1}}, dtype, false, shift);
      check_copy({{count}, {1}, {1}}, DType::f16, true, shift);
    }
  }
}

GPU_CASE(CopyKernel, KeepsEveryBit) {
  // A signalling NaN with a payload, through both paths.
  const std::vector<std::uint32_t> bits(9, 0x7fa12345);
  for (const std::int64_t stride : {1, 2}) {
    const DeviceValues<std::uint32_t> x(bits), y(std::vector<std::uint32_t>(17));
    run_on_device(Copy{{9}, {1}, {stride}, x.data(), y.data(), DType::f32});
    for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(y.values()[i * stride], bits[i]);
  }
}

GPU_CASE(CopyKernel, AccumulatingIntegersIsRefused) {
  EXPECT_THROW(run_on_device(Copy{{1}, {1}, {1}, nullptr, nullptr, DType::i32, true}), Error);
}

// The header's words: to a float rounded once; from a float truncated and saturated; integers wrap.
double cast_of(double x, DType from, DType to) {
  if (is_floating(to)) return rounded(to, {x})[0];
  const int width = static_cast<int>(size_of(to)) * 8;
  const double low = to == DType::u8 ? 0 : -std::ldexp(1, width - 1);
  const double high = to == DType::u8 ? 255 : std::ldexp(1, width - 1) - (width < 64 ? 1 : 0);
  if (is_floating(from)) return std::isnan(x) ? 0 : std::clamp(std::trunc(x), low, high) + 0.0;
  const double span = std::ldexp(1, width);
  return x - span * std::floor((x - low) / span);
}

void check_cast(const std::vector<double>& values, DType from, DType to,
                std::int64_t shift = kAligned) {
  SCOPED_TRACE(fmt::format("{} to {}, {} elements", from, to, values.size()));
  std::vector<double> expected;
  for (const double v : values) expected.push_back(cast_of(v, from, to));
  const FencedArray x(from, values, shift), y(to, std::ssize(values), shift);
  run_on_device(Cast{x.count(), x.data(), from, y.data(), to});
  expect_equal(y, expected, "cast");
}

GPU_CASE(CastKernel, EveryPairAnySizeAndAlignment) {
  for (const DType from : kAll) {
    for (const DType to : kAll) {
      for (const std::int64_t count : {0, 1, 7, 8, 9, 17, 257}) {
        std::vector<double> values(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 101);
        for (const std::int64_t shift : {kAligned, kMisaligned}) {
          check_cast(values, from, to, shift);
        }
      }
    }
  }
}

GPU_CASE(CastKernel, SpecialValues) {
  const double inf = HUGE_VAL;
  const std::vector<double> floats = {0,
                                      -0.0,
                                      NAN,
                                      inf,
                                      -inf,
                                      0x1p-149,
                                      0x1p-133,
                                      0x1p-24,
                                      0x1.8p-25,
                                      0x1p-25,
                                      65504,
                                      65519.999,
                                      65520,
                                      1e30,
                                      -1e30,
                                      3e9,
                                      -3e9,
                                      255.9,
                                      256,
                                      -1,
                                      -0.5,
                                      9.3e18,
                                      -9.3e18,
                                      1e300,
                                      2.5,
                                      -2.5,
                                      1 + 0x1p-11,
                                      1 + 0x1p-11 + 0x1p-40,
                                      1 + 0x1p-8,
                                      1 + 0x1p-8 - 0x1p-40,
                                      1 + 3 * 0x1p-8};
  const std::vector<double> integers = {0,    1,        -1,       255,     256,       257,
                                        -128, 65504,    65519,    65520,   INT32_MAX, INT32_MIN,
                                        2049, 16777217, 16777219, 33554435};
  for (const DType to : kAll) {
    for (const DType from : {DType::f32, DType::f16, DType::bf16, DType::f64}) {
      check_cast(rounded(from, floats), from, to);
    }
    for (const DType from : {DType::i32, DType::i64}) check_cast(integers, from, to);
  }
}

GPU_CASE(CastKernel, LargeIntegersAreRoundedOnce) {
  // 2^60 + 2^36 is halfway between two floats; one more is above, though not in double precision.
  const std::int64_t tie = (std::int64_t{1} << 60) + (std::int64_t{1} << 36);
  const std::vector<std::int64_t> x = {tie, tie + 1, tie - 1, -tie - 1, INT64_MAX, INT64_MIN};
  const DeviceValues<std::int64_t> device(x);
  const DeviceValues<float> y(std::vector<float>(x.size()));
  run_on_device(Cast{std::ssize(x), device.data(), DType::i64, y.data(), DType::f32});
  EXPECT_EQ(y.values(), (std::vector<float>{0x1p60f, 0x1.000002p60f, 0x1p60f, -0x1.000002p60f,
                                            0x1p63f, -0x1p63f}));
  const DeviceValues<std::int32_t> low(std::vector<std::int32_t>(x.size()));
  run_on_device(Cast{std::ssize(x), device.data(), DType::i64, low.data(), DType::i32});
  EXPECT_EQ(low.values(), (std::vector<std::int32_t>{0, 1, -1, -1, -1, 0}));
}

}  // namespace
}  // namespace convoy::testing
