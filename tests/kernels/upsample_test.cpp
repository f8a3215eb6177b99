// SPDX-License-Identifier: MIT
#include "kernels/upsample.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/upsample.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using reference::Resize;
using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  Shape x;
  std::array<std::int64_t, 2> size{0, 0};
  std::array<double, 2> factor{0, 0};
};
const Case kCases[] = {
    {{1, 1, 1, 1}, {1, 1}},
    {{2, 3, 5, 7}, {6, 10}},
    {{2, 3, 5, 17}, {7, 3}},
    {{1, 7, 4, 2}, {1, 9}},
    {{1, 1, 1, 3}, {4, 5}},
    {{3, 8, 8, 8}, {0, 0}, {2, 2}},
    {{1, 5, 7, 2}, {0, 0}, {1.5, 0.6}},
    {{1, 31, 3, 2}, {93, 62}},
    {{0, 3, 3, 4}, {6, 6}},
};

template <class T>
class Upsample : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Upsample, Dtypes);

TYPED_TEST(Upsample, MatchesReferenceAndAccumulates) {
  using T = TypeParam;
  for (const Case& c : kCases) {
    for (const Resize mode : {Resize::nearest, Resize::bilinear, Resize::align_corners}) {
      UpsampleOptions o{.size = c.size, .scale_factor = c.factor};
      if (mode != Resize::nearest) o.mode = UpsampleMode::bilinear;
      o.align_corners = mode == Resize::align_corners;
      const UpsampleGeometry g = upsample_geometry(c.x, o);
      SCOPED_TRACE(fmt::format("{} to {}, mode {}", c.x, g.output_shape(), static_cast<int>(mode)));
      const auto matrix = [&](const UpsampleAxis& a, double factor) {
        const double scale =
            factor > 0 ? 1 / factor : static_cast<double>(a.in) / static_cast<double>(a.out);
        return reference::resize_matrix(a.in, a.out, scale, mode);
      };
      const reference::Upsample ref{g.batch,
                                    g.h.in,
                                    g.w.in,
                                    g.channels,
                                    g.h.out,
                                    g.w.out,
                                    matrix(g.h, c.factor[0]),
                                    matrix(g.w, c.factor[1])};
      const std::vector<T> x = random_values<T>(c.x.count(), 1);
      const std::vector<T> dy = random_values<T>(g.output_shape().count(), 2);
      std::vector<T> y(dy.size(), NAN), dx(x.size(), NAN);
      run_kernel(UpsampleForward{g, x.data(), y.data(), dtype_of<T>});
      // Weights are taken at coordinates of up to 100, in double.
      expect_close(y, ref.forward(to_double(x)), {.k = 4, .scale = 32}, "y");
      UpsampleBackward op{g, dy.data(), dx.data(), false, dtype_of<T>};
      run_kernel(op);
      auto expected = ref.backward(to_double(dy));
      expect_close(dx, expected, {.k = 36, .scale = 32}, "dx");
      op.accumulate = true;
      run_kernel(op);
      for (double& v : expected) v *= 2;
      expect_close(dx, expected, {.k = 36, .scale = 32}, "dx added twice");
    }
  }
}

TEST(UpsampleGeometry, RefusesWhatDoesNotFit) {
  const Shape x{1, 4, 4, 2};
  EXPECT_THROW(upsample_geometry({4, 4, 2}, {.size = {8, 8}}), Error);
  EXPECT_THROW(upsample_geometry({1, 0, 4, 2}, {.size = {8, 8}}), Error);
  EXPECT_THROW(upsample_geometry(x, {}), Error);
  EXPECT_THROW(upsample_geometry(x, {.size = {8, 8}, .scale_factor = {2, 2}}), Error);
  EXPECT_THROW(upsample_geometry(x, {.size = {8, -1}}), Error);
  EXPECT_THROW(upsample_geometry(x, {.scale_factor = {0.1, 1}}), Error);
  EXPECT_THROW(upsample_geometry(x, {.size = {8, 8}, .align_corners = true}), Error);
}

}  // namespace
}  // namespace convoy
