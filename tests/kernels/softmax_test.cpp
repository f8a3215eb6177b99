// SPDX-License-Identifier: MIT
#include "kernels/softmax.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/softmax.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  std::int64_t rows, classes;
};
const Case kCases[] = {{0, 5}, {1, 1}, {3, 2}, {7, 10}, {2, 31}, {129, 17}, {5, 1000}};

template <class T>
class Softmax : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Softmax, Dtypes);

TYPED_TEST(Softmax, MatchesReference) {
  using T = TypeParam;
  for (const Case& c : kCases) {
    for (const bool log : {false, true}) {
      SCOPED_TRACE(fmt::format("{} x {}, log {}", c.rows, c.classes, log));
      std::vector<T> x = random_values<T>(c.rows * c.classes, 1);
      for (T& v : x) v *= 8;
      const std::vector<T> dy = random_values<T>(c.rows * c.classes, 2);
      std::vector<T> y(x.size(), NAN), dx(x.size(), NAN);
      run_kernel(SoftmaxForward{c.rows, c.classes, x.data(), y.data(), log, dtype_of<T>});
      const auto expected = log ? reference::log_softmax(to_double(x), c.classes)
                                : reference::softmax(to_double(x), c.classes);
      // An exponent of size 16 is rounded to 16 eps.
      expect_close(y, expected, {.k = 1, .scale = log ? 16.0 : 4.0}, "y");

      std::vector<T> in_place = x;
      run_kernel(
          SoftmaxForward{c.rows, c.classes, in_place.data(), in_place.data(), log, dtype_of<T>});
      EXPECT_EQ(in_place, y);

      SoftmaxBackward op{c.rows,    c.classes, y.data(), dy.data(),
                         dx.data(), false,     log,      dtype_of<T>};
      run_kernel(op);
      auto dx_expected = reference::softmax_backward(to_double(x), to_double(dy), c.classes, log);
      const testing::Bound bound{.k = static_cast<double>(c.classes), .scale = log ? 16.0 : 4.0};
      expect_close(dx, dx_expected, bound, "dx");
      op.accumulate = true;
      run_kernel(op);
      for (double& v : dx_expected) v *= 2;
      expect_close(dx, dx_expected, bound, "dx added twice");
    }
  }
}

TYPED_TEST(Softmax, NeitherOverflowsNorLosesInfinity) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> x{1000, 1000, -1000, 5, -inf, 5, 0, NAN, 1};
  std::vector<T> y(x.size());
  run_kernel(SoftmaxForward{3, 3, x.data(), y.data(), false, dtype_of<T>});
  for (const std::size_t i : {0, 1, 3, 5}) EXPECT_EQ(y[i], T(0.5));
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[4], 0);
  for (const std::size_t i : {6, 7, 8}) EXPECT_TRUE(std::isnan(y[i]));
  run_kernel(SoftmaxForward{3, 3, x.data(), y.data(), true, dtype_of<T>});
  EXPECT_EQ(y[4], -inf);
  EXPECT_NEAR(y[0], -std::log(2.0), 1e-6);
}

}  // namespace
}  // namespace convoy
