// SPDX-License-Identifier: MIT
#pragma once
// Comparison with a double-precision reference within a computed bound, and random inputs.
//
//   expect_close(y, reference, {.k = taps, .scale = 1.0}, "conv2d forward");

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace convoy::testing {

// |error| <= eps(T) * factor * (|ref| + sqrt(k) * scale): the rounding of a sum of k terms whose
// size is about `scale`.
struct Bound {
  double k = 1;       // length of the reduction behind each value
  double scale = 1;   // typical size of a term
  double factor = 4;  // unit roundoffs per term, and some room
};

// For a sum of k products of values in [-1, 1] in any order, also one long chain: each addition
// rounds a partial sum of size about sqrt(j) / 3, and k such roundings add up, as independent
// errors do, to k / (6 sqrt(2)) roundoffs. Five times that.
inline Bound sum_bound(double k) { return {.k = k, .scale = 1 + 0.15 * std::sqrt(k)}; }

template <class T>
void expect_close(const std::vector<T>& found, const std::vector<double>& reference, Bound bound,
                  const std::string& what) {
  ASSERT_EQ(found.size(), reference.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double limit = std::numeric_limits<T>::epsilon() * bound.factor *
                         (std::abs(reference[i]) + std::sqrt(bound.k) * bound.scale);
    const double error = std::abs(static_cast<double>(found[i]) - reference[i]);
    ASSERT_TRUE(error <= limit) << what << ": element " << i << " is " << found[i] << ", expected "
                                << reference[i] << " within " << limit;
  }
}

// Values in [-1, 1], the same for the same seed.
template <class T>
std::vector<T> random_values(std::int64_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& v : values) v = static_cast<T>(uniform(engine));
  return values;
}

inline std::vector<double> plus(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

template <class T>
std::vector<double> to_double(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

}  // namespace convoy::testing
