// SPDX-License-Identifier: MIT
#include "kernels/pool2d.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/pool2d.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  Shape x;
  Pool2dOptions options;
};
const Case kCases[] = {
    {{1, 1, 1, 1}, {}},
    {{2, 8, 8, 16}, {.kernel_size = {2, 2}}},
    {{2, 7, 9, 3}, {.kernel_size = {2, 2}}},
    {{2, 7, 9, 3}, {.kernel_size = {2, 2}, .ceil_mode = true}},
    {{3, 11, 13, 17}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {{3, 12, 13, 5},
     {.kernel_size = {3, 3},
      .stride = {2, 2},
      .padding = {1, 1},
      .ceil_mode = true,
      .count_include_pad = false}},
    {{1, 5, 7, 2}, {.kernel_size = {3, 2}, .stride = {1, 3}, .padding = {1, 0}}},
    {{1, 5, 7, 2}, {.kernel_size = {2, 3}, .stride = {3, 4}, .ceil_mode = true}},
    {{2, 6, 5, 33},
     {.kernel_size = {3, 3}, .stride = {1, 1}, .padding = {1, 1}, .count_include_pad = false}},
    {{1, 4, 4, 8}, {.kernel_size = {4, 4}, .stride = {3, 3}, .padding = {2, 2}, .ceil_mode = true}},
    {{0, 4, 4, 8}, {.kernel_size = {2, 2}}},
};
const Case kDilated[] = {
    {{2, 9, 11, 4},
     {.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}, .dilation = {2, 3}}},
    {{1, 10, 10, 3},
     {.kernel_size = {2, 2}, .stride = {3, 3}, .dilation = {4, 2}, .ceil_mode = true}},
    {{1, 1, 5, 2},
     {.kernel_size = {2, 1}, .stride = {1, 1}, .padding = {2, 0}, .dilation = {3, 1}}},
};
struct Adaptive {
  Shape x;
  PoolSize out;
};
const Adaptive kAdaptive[] = {
    {{2, 8, 8, 64}, {1, 1}}, {{3, 7, 5, 10}, {1, 1}}, {{2, 7, 7, 3}, {3, 2}},
    {{1, 10, 7, 5}, {4, 3}}, {{2, 3, 2, 4}, {5, 7}},  {{1, 6, 6, 2}, {6, 6}},
    {{0, 6, 6, 2}, {1, 1}},
};

template <class T>
class Pool2d : public ::testing::Test {
 protected:
  void check_max(const Case& c) {
    SCOPED_TRACE(to_text(c.x));
    const Pool2dGeometry g = pool2d_geometry("max_pool2d", c.x, c.options);
    const auto ref = reference::pool2d_of(g);
    std::vector<T> x = random_values<T>(c.x.count(), 1);
    for (T& v : x) v = std::round(v * 4);  // ties: the first one wins
    const std::vector<T> dy = random_values<T>(g.output_shape().count(), 2);
    std::vector<T> y(dy.size(), NAN), without(dy.size(), NAN), dx(x.size(), NAN);
    std::vector<std::int32_t> indices(dy.size(), -7);
    MaxPool2dForward op{g, x.data(), y.data(), indices.data(), dtype_of<T>};
    run_kernel(op);
    op.indices = nullptr, op.y = without.data();
    run_kernel(op);
    EXPECT_EQ(to_double(y), ref.max_forward(to_double(x)));
    EXPECT_EQ(y, without);
    ref.for_each_output([&](auto n, auto p, auto q, auto k) {
      EXPECT_EQ(indices[ref.out(n, p, q, k)], ref.largest(to_double(x), n, p, q, k));
    });
    const auto expected = ref.max_backward(to_double(x), to_double(dy));
    MaxPool2dBackward back{g, dy.data(), indices.data(), dx.data(), false, dtype_of<T>};
    run_kernel(back);
    expect_close(dx, expected, {.k = 9, .scale = 1}, "dx");
    back.accumulate = true;
    run_kernel(back);
    expect_close(dx, doubled(expected), {.k = 9, .scale = 1}, "dx added twice");
  }
  void check_avg(const Pool2dGeometry& g) {
    SCOPED_TRACE(to_text(g.input_shape()) + " to " + to_text(g.output_shape()));
    const auto ref = reference::pool2d_of(g);
    const std::vector<T> x = random_values<T>(g.input_shape().count(), 1);
    const std::vector<T> dy = random_values<T>(g.output_shape().count(), 2);
    std::vector<T> y(dy.size(), NAN), dx(x.size(), NAN);
    run_kernel(AvgPool2dForward{g, x.data(), y.data(), dtype_of<T>});
    expect_close(y, ref.avg_forward(to_double(x)), {.k = 64, .scale = 1.0 / 8}, "y");
    const auto expected = ref.avg_backward(to_double(dy));
    AvgPool2dBackward back{g, dy.data(), dx.data(), false, dtype_of<T>};
    run_kernel(back);
    expect_close(dx, expected, {.k = 9, .scale = 1}, "dx");
    back.accumulate = true;
    run_kernel(back);
    expect_close(dx, doubled(expected), {.k = 9, .scale = 1}, "dx added twice");
  }
  static std::vector<double> doubled(std::vector<double> v) {
    for (double& e : v) e *= 2;
    return v;
  }
};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Pool2d, Dtypes);

TYPED_TEST(Pool2d, MaxMatchesReference) {
  for (const Case& c : kCases) this->check_max(c);
  for (const Case& c : kDilated) this->check_max(c);
}
TYPED_TEST(Pool2d, AverageMatchesReference) {
  for (const Case& c : kCases) this->check_avg(pool2d_geometry("avg_pool2d", c.x, c.options));
}
TYPED_TEST(Pool2d, AdaptiveAverageMatchesReference) {
  for (const Adaptive& c : kAdaptive) {
    this->check_avg(adaptive_pool2d_geometry("adaptive_avg_pool2d", c.x, c.out));
  }
}
TYPED_TEST(Pool2d, MaxHandsOnNaN) {
  const auto g = pool2d_geometry("max_pool2d", {1, 2, 2, 1}, {.kernel_size = {2, 2}});
  const TypeParam nan = std::numeric_limits<TypeParam>::quiet_NaN();
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<TypeParam> x{4, 3, 2, 1};
    x[i] = nan;
    TypeParam y = 0;
    std::int32_t index = -1;
    run_kernel(MaxPool2dForward{g, x.data(), &y, &index, dtype_of<TypeParam>});
    EXPECT_TRUE(std::isnan(y));
    EXPECT_EQ(index, i);
  }
}

// Output sizes that PyTorch 2 gives, in: kernel, stride, padding, dilation -> floor, ceil.
TEST(Pool2dGeometry, OutputSizesArePyTorchs) {
  const std::int64_t table[][7] = {
      {7, 2, 2, 0, 1, 3, 4}, {7, 3, 2, 1, 1, 4, 4},  {8, 3, 2, 1, 1, 4, 5},
      {5, 2, 3, 0, 1, 2, 2}, {6, 2, 3, 0, 1, 2, 2},  {4, 4, 3, 2, 1, 2, 2},
      {3, 2, 4, 1, 1, 1, 1}, {10, 2, 3, 0, 4, 2, 3}, {112, 3, 2, 1, 1, 56, 57},
      {1, 2, 2, 1, 1, 1, 1}, {2, 3, 2, 0, 1, 0, 1},
  };
  for (const auto& [in, k, s, p, d, floor, ceil] : table) {
    Pool2dOptions o{.kernel_size = {k, k}, .stride = {s, s}, .padding = {p, p}, .dilation = {d, d}};
    const Shape x{1, in, in, 1};
    if (floor == 0) {
      EXPECT_THROW(pool2d_geometry("max_pool2d", x, o), Error);
    } else {
      EXPECT_EQ(pool2d_geometry("max_pool2d", x, o).h.out, floor) << in << ' ' << k << ' ' << s;
    }
    o.ceil_mode = true;
    EXPECT_EQ(pool2d_geometry("max_pool2d", x, o).w.out, ceil) << in << ' ' << k << ' ' << s;
  }
}

TEST(Pool2dGeometry, RefusesWhatDoesNotFit) {
  const auto refused = [](const Shape& x, const Pool2dOptions& o, const std::string& text) {
    try {
      pool2d_geometry("max_pool2d", x, o);
      ADD_FAILURE() << "no error: " << text;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find("max_pool2d: " + text), 0u) << e.what();
    }
  };
  refused({4, 4, 3}, {}, "x expects 4 dimensions [N, H, W, C], found shape [4, 4, 3]");
  refused({1, 0, 4, 3}, {}, "x expects a height and width above 0");
  refused({1, 4, 4, 3}, {.kernel_size = {0, 2}}, "vertical kernel_size");
  refused({1, 4, 4, 3}, {.kernel_size = {2, 2}, .stride = {2, -1}}, "horizontal kernel_size");
  refused({1, 4, 4, 3}, {.kernel_size = {2, 2}, .padding = {0, 2}},
          "horizontal padding expects 0 to half the kernel's extent 2, found 2");
  refused({1, 4, 4, 3}, {.kernel_size = {5, 2}},
          "vertical kernel of extent 5 does not fit into 4 pixels with padding 0");
  EXPECT_THROW(adaptive_pool2d_geometry("adaptive_avg_pool2d", {1, 4, 4, 3}, {0, 1}), Error);
  // What kernels could not count in 32 bits.
  const std::int64_t large = std::int64_t{1} << 30;
  EXPECT_THROW(adaptive_pool2d_geometry("adaptive_avg_pool2d", {1, 4, 4, 3}, {large, 1}), Error);
  EXPECT_THROW(pool2d_geometry("max_pool2d", {1, 1, 4, large}, {}), Error);
  EXPECT_THROW(pool2d_geometry("max_pool2d", {1, 4, 4, 3},
                               {.kernel_size = {2 * large, 1}, .padding = {large, 0}}),
               Error);
  EXPECT_THROW(pool2d_geometry("max_pool2d", {1, 4, 4, 3}, {.stride = {4 * large, 1}}), Error);
}

}  // namespace
}  // namespace convoy
