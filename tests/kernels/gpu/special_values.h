// SPDX-License-Identifier: MIT
#pragma once
// Zeros of both signs, denormals, infinities, NaN and f16's largest value, and how results of them
// are compared.

#include <cmath>

#include "tests/support/fenced_array.h"

namespace convoy::testing {

inline constexpr double kInf = HUGE_VAL, kLarge = 65504;

inline double smallest(DType dtype) {
  return dtype == DType::f16 ? 0x1p-24 : dtype == DType::bf16 ? 0x1p-133 : 0x1p-149;
}
// 65504 in bf16 is 65536: all of them as the dtype holds them.
inline std::vector<double> specials(DType dtype) {
  const double tiny = smallest(dtype);
  return rounded(dtype, {0, -0.0, tiny, -tiny, kInf, -kInf, NAN, kLarge, -kLarge});
}

// Rounded to the dtype, within some roundings of f32; NaN, infinities and signs of zeros as they
// are.
inline void expect_special(const FencedArray& found, std::vector<double> expected,
                           const std::string& what) {
  expected = rounded(found.dtype(), expected);
  const std::vector<double> values = found.values();
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    SCOPED_TRACE(what + ", element " + std::to_string(i));
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << values[i];
    } else if (expected[i] == 0 || std::isinf(expected[i])) {
      EXPECT_EQ(values[i], expected[i]);
      EXPECT_EQ(std::signbit(values[i]), std::signbit(expected[i]));
    } else {
      const double limit =
          (8 * epsilon(DType::f32) + epsilon(found.dtype())) * std::abs(expected[i]);
      EXPECT_NEAR(values[i], expected[i], limit + smallest(found.dtype()));
    }
  }
}

}  // namespace convoy::testing
