// SPDX-License-Identifier: MIT
#pragma once
// The inputs that golden values were computed from: element i is sin(0.7 i + phase), f64. In
// Python: torch.tensor([math.sin(0.7 * i + phase) for i in range(n)], dtype=torch.float64).

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/tensor.h"

namespace convoy::testing {

inline Tensor wave(const Shape& shape, double phase) {
  std::vector<double> values(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(0.7 * static_cast<double>(i) + phase);
  }
  return from_vector(values, shape);
}

// Golden values carry nine digits.
inline void expect_golden(const Tensor& found, const std::vector<double>& golden) {
  const std::vector<double> values = to_vector<double>(found);
  ASSERT_EQ(values.size(), golden.size());
  for (std::size_t i = 0; i < golden.size(); ++i) {
    EXPECT_NEAR(values[i], golden[i], 1e-8) << "element " << i;
  }
}

}  // namespace convoy::testing
