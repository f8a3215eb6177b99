// SPDX-License-Identifier: MIT
// A norm in the parts that fused convolutions leave, against batch normalisation by its definition.
#include "kernels/norm_act.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/batch_norm.h"
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
  bool affine = true, residual = false, relu = true;
};
const Case kCases[] = {{2, 1}, {31, 5, false}, {65, 17, true, true}, {9, 130, true, true, false}};

// The lines of a norm of random rows.
template <class T>
struct Norm {
  explicit Norm(const Case& c)
      : rows(c.rows),
        channels(c.channels),
        x(random_values<T>(rows * channels, 1)),
        residual(random_values<T>(rows * channels, 2)),
        scale(random_values<T>(channels, 3)),
        bias(random_values<T>(channels, 4)),
        y(x.size(), NAN),
        lines(scale.size()) {
    ref = {rows, channels, to_double(x), {}, {}, {}, {}, {}, 1e-5, c.relu};
    if (c.affine) ref.scale = to_double(scale), ref.bias = to_double(bias);
    if (c.residual) ref.residual = to_double(residual);
    ref.take_batch_statistics();
    const std::vector<float> mean(ref.mean.begin(), ref.mean.end());
    const std::vector<float> var(ref.var.begin(), ref.var.end());
    run_kernel(NormLinesFromBatch{.rows = rows,
                                  .channels = channels,
                                  .mean = mean.data(),
                                  .var = var.data(),
                                  .scale = c.affine ? scale.data() : nullptr,
                                  .bias = c.affine ? bias.data() : nullptr,
                                  .running_mean = running.data(),
                                  .running_var = nullptr,
                                  .lines = lines.data(),
                                  .momentum = 0.25,
                                  .eps = 1e-5,
                                  .dtype = dtype_of<T>});
  }
  void forward(const Case& c, const NormLine* residual_lines = nullptr) {
    run_kernel(NormAct{rows, channels, x.data(), lines.data(),
                       c.residual ? residual.data() : nullptr, residual_lines, y.data(), c.relu,
                       dtype_of<T>});
  }
  double largest_gain() const {
    double largest = 1;
    for (const NormLine& line : lines) largest = std::max<double>(largest, line.rstd);
    return largest;
  }

  std::int64_t rows, channels;
  std::vector<T> x, residual, scale, bias, y;
  std::vector<float> running = std::vector<float>(scale.size(), 2);
  std::vector<NormLine> lines;
  reference::BatchNorm ref;
};

// Lines are f32, for values of any dtype.
std::vector<float> as_f32(const auto& values) { return {values.begin(), values.end()}; }

template <class T>
class NormActOnCpu : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(NormActOnCpu, Dtypes);

TYPED_TEST(NormActOnCpu, ForwardMatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} x {}", c.rows, c.channels));
    Norm<TypeParam> n(c);
    n.forward(c);
    expect_close(as_f32(n.y), n.ref.forward(), {.scale = 3 * n.largest_gain()}, "y");
    std::vector<double> running;
    for (const double mean : n.ref.mean) running.push_back(0.75 * 2 + 0.25 * mean);
    expect_close(n.running, running, {}, "running mean");
  }
}

TYPED_TEST(NormActOnCpu, AResidualMayHaveANormOfItsOwn) {
  const Case c{65, 17, true, true};
  Norm<TypeParam> n(c);
  const std::vector<NormLine> twice(17, {0, 2, 1, 2});
  n.forward(c, twice.data());
  for (double& r : n.ref.residual) r = 2 * r + 1;
  expect_close(as_f32(n.y), n.ref.forward(), {.scale = 3 * n.largest_gain()}, "y");
}

// Both steps of the gradient: the sums, and the lines that the convolution before reads.
TYPED_TEST(NormActOnCpu, BackwardMatchesReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} x {}", c.rows, c.channels));
    Norm<TypeParam> n(c);
    n.forward(c);
    const std::vector<TypeParam> dy = random_values<TypeParam>(c.rows * c.channels, 5);
    const auto channels = static_cast<std::size_t>(c.channels);
    std::vector<TypeParam> g(dy.size(), NAN), d_scale(channels, 1), d_bias(channels, NAN);
    std::vector<float> sums(2 * channels, NAN);
    std::vector<NormGradientLine> out(channels);
    run_kernel(NormActBackward{c.rows, c.channels, dy.data(), n.x.data(), n.lines.data(),
                               c.residual ? n.y.data() : nullptr, g.data(), sums.data(), c.relu,
                               dtype_of<TypeParam>});
    run_kernel(NormGradientLines{c.rows, c.channels, n.lines.data(), sums.data(),
                                 sums.data() + channels, d_scale.data(), d_bias.data(), out.data(),
                                 true, false, dtype_of<TypeParam>});
    auto d = n.ref.backward(to_double(dy), true);
    std::vector<TypeParam> dx(dy.size());
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const NormGradientLine& l = out[i % channels];
      dx[i] = l.gain * (g[i] - l.level - (n.x[i] - l.mean) * l.slope);
    }
    for (double& v : d.scale) v += 1;  // it accumulates
    const double rows = static_cast<double>(c.rows), gain = n.largest_gain();
    expect_close(as_f32(g), d.residual, {}, "g");
    expect_close(as_f32(d_scale), d.scale, {.k = rows, .scale = 3, .factor = 8}, "d_scale");
    expect_close(as_f32(d_bias), d.bias, {.k = rows}, "d_bias");
    expect_close(as_f32(dx), d.x, {.scale = 12 * gain, .factor = 8}, "dx");
  }
}

// A NaN is not above 0, and not held at 0 either: its gradient passes, as through relu.
TYPED_TEST(NormActOnCpu, ANaNHidesNoGradient) {
  const std::vector<TypeParam> x{NAN, -1, 1, 0}, dy{1, 2, 3, 4};
  const std::vector<NormLine> lines(2, {0, 1, 0, 1});
  std::vector<float> sums(4);
  for (const TypeParam* y : {static_cast<const TypeParam*>(nullptr), x.data()}) {
    std::vector<TypeParam> g(4);
    run_kernel(NormActBackward{2, 2, dy.data(), x.data(), lines.data(), y, g.data(), sums.data(),
                               true, dtype_of<TypeParam>});
    EXPECT_EQ(g, (std::vector<TypeParam>{1, 0, 3, 0}));
  }
}

}  // namespace
}  // namespace convoy
