// SPDX-License-Identifier: MIT
#include "kernels/layer_norm.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/layer_norm.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  std::int64_t rows, channels;
  bool affine = true;
  double shift = 0;  // added to x
};
const Case kCases[] = {{0, 4},    {1, 1},   {1, 7},     {5, 2, false},   {3, 17},
                       {129, 96}, {7, 768}, {2000, 31}, {300, 5, false}, {33, 129, true, 50}};

template <class T>
class LayerNorm : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LayerNorm, Dtypes);

TYPED_TEST(LayerNorm, MatchesReferenceAndAccumulates) {
  using T = TypeParam;
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} x {}", c.rows, c.channels));
    std::vector<T> x = random_values<T>(c.rows * c.channels, 1);
    for (T& v : x) v += static_cast<T>(c.shift);
    const std::vector<T> scale = random_values<T>(c.channels, 2),
                         bias = random_values<T>(c.channels, 3),
                         dy = random_values<T>(c.rows * c.channels, 4);
    reference::LayerNorm ref{c.rows, c.channels, to_double(x), {}, {}};
    if (c.affine) ref.scale = to_double(scale), ref.bias = to_double(bias);
    std::vector<T> y(x.size(), NAN), mean(c.rows, NAN), rstd(c.rows, NAN), dx(x.size(), NAN);
    std::vector<T> d_scale(c.channels, NAN), d_bias(c.channels, NAN);
    LayerNormForward forward{.rows = c.rows,
                             .channels = c.channels,
                             .x = x.data(),
                             .scale = c.affine ? scale.data() : nullptr,
                             .bias = c.affine ? bias.data() : nullptr,
                             .mean = mean.data(),
                             .rstd = rstd.data(),
                             .y = y.data(),
                             .dtype = dtype_of<T>};
    run_kernel(forward);
    std::vector<T> in_place = x;
    forward.x = forward.y = in_place.data();
    run_kernel(forward);
    EXPECT_EQ(in_place, y);
    double largest = 1;
    for (const T r : rstd) largest = std::max(largest, static_cast<double>(r));
    const double rows = static_cast<double>(c.rows);
    const double size = (2 + c.shift) * largest;  // of a normalised value before its rounding
    expect_close(y, ref.forward(), {.k = 1, .scale = size}, "y");

    LayerNormBackward op{.rows = c.rows,
                         .channels = c.channels,
                         .x = x.data(),
                         .dy = dy.data(),
                         .scale = c.affine ? scale.data() : nullptr,
                         .mean = mean.data(),
                         .rstd = rstd.data(),
                         .dx = dx.data(),
                         .d_scale = d_scale.data(),
                         .d_bias = d_bias.data(),
                         .dtype = dtype_of<T>};
    run_kernel(op);
    std::vector<double> dx_ref, d_scale_ref, d_bias_ref;
    ref.backward(to_double(dy), &dx_ref, &d_scale_ref, &d_bias_ref);
    const auto check = [&](const std::string& what) {
      expect_close(dx, dx_ref, {.k = 1, .scale = 4 * largest * size}, "dx" + what);
      expect_close(d_scale, d_scale_ref, {.k = rows, .scale = size, .factor = 8}, "d_scale" + what);
      expect_close(d_bias, d_bias_ref, {.k = rows, .scale = 1, .factor = 8}, "d_bias" + what);
    };
    check("");
    op.accumulate = op.accumulate_scale = op.accumulate_bias = true;
    run_kernel(op);
    for (auto* v : {&dx_ref, &d_scale_ref, &d_bias_ref}) {
      for (double& e : *v) e *= 2;
    }
    check(" added twice");
    op.dx = op.d_scale = op.d_bias = nullptr;
    run_kernel(op);  // asked for nothing, writes nothing
  }
}

}  // namespace
}  // namespace convoy
