// SPDX-License-Identifier: MIT
#include "kernels/layer_norm.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/layer_norm.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t rows, channels;
  bool affine = true;
  double shift = 0;  // added to x
};
const Case kCases[] = {
    {0, 4},           {1, 1},   {5, 2, false}, {33, 17}, {9, 129}, {300, 33, true, 8},
    {3, 1100, false}, {37, 72}, {1, 8195},     {2, 8200}};

struct Problem {
  Problem(const Case& c, DType type, std::optional<DType> grad_dtype = {})
      : dtype(type),
        x(type, values(c, type)),
        dy(type, random_doubles(type, c.rows * c.channels, 2)),
        scale(type, random_doubles(type, c.channels, 3)),
        bias(type, random_doubles(type, c.channels, 4)),
        mean(DType::f32, c.rows),
        rstd(DType::f32, c.rows),
        y(type, c.rows * c.channels),
        dx(type, c.rows * c.channels),
        d_scale(grad_dtype.value_or(type), c.channels),
        d_bias(grad_dtype.value_or(type), c.channels) {
    ref = {c.rows, c.channels, x.values(), {}, {}};
    if (c.affine) ref.scale = scale.values(), ref.bias = bias.values();
    forward = {.rows = c.rows,
               .channels = c.channels,
               .x = x.data(),
               .scale = c.affine ? scale.data() : nullptr,
               .bias = c.affine ? bias.data() : nullptr,
               .mean = mean.data(),
               .rstd = rstd.data(),
               .y = y.data(),
               .dtype = dtype};
    backward = {.rows = c.rows,
                .channels = c.channels,
                .x = x.data(),
                .dy = dy.data(),
                .scale = forward.scale,
                .mean = mean.data(),
                .rstd = rstd.data(),
                .dx = dx.data(),
                .d_scale = d_scale.data(),
                .d_bias = d_bias.data(),
                .dtype = dtype,
                .grad_dtype = grad_dtype};
  }
  static std::vector<double> values(const Case& c, DType type) {
    std::vector<double> result = random_doubles(type, c.rows * c.channels, 1);
    for (double& v : result) v += c.shift;
    return rounded(type, result);
  }
  double largest_rstd() const {
    double largest = 1;
    for (std::int64_t r = 0; r < ref.rows; ++r) {
      long double row_mean, row_rstd;
      ref.statistics(r, &row_mean, &row_rstd);
      largest = std::max(largest, static_cast<double>(row_rstd));
    }
    return largest;
  }

  DType dtype;
  DeviceArray x, dy, scale, bias, mean, rstd, y, dx, d_scale, d_bias;
  reference::LayerNorm ref;
  LayerNormForward forward;
  LayerNormBackward backward;
};

void expect_agreement(const Case& c, DType dtype, std::optional<DType> grad_dtype = {}) {
  SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.channels);
  Problem p(c, dtype, grad_dtype);
  run_on_device(p.forward);
  const double gain = p.largest_rstd(), size = gain * (3 + c.shift);  // the mean's rounding counts
  expect_close(p.y, p.ref.forward(), {.scale = size}, "y");

  std::vector<double> dx, d_scale, d_bias;
  p.ref.backward(p.dy.values(), &dx, &d_scale, &d_bias);
  run_on_device(p.backward);
  const Bound of_dx{.scale = gain * 4 * size};
  const Bound of_scale{.k = static_cast<double>(c.rows), .scale = size};
  const auto first_dx = p.dx.values(), first_scale = p.d_scale.values(),
             first_bias = p.d_bias.values();
  expect_close(first_dx, dtype, dx, of_dx, "dx");
  expect_close(first_scale, p.d_scale.dtype(), d_scale, of_scale, "d_scale");
  expect_close(first_bias, p.d_bias.dtype(), d_bias, of_scale, "d_bias");
  p.backward.accumulate = p.backward.accumulate_scale = p.backward.accumulate_bias = true;
  run_on_device(p.backward);
  expect_close(p.dx, plus(dx, first_dx), of_dx, "dx accumulated");
  expect_close(p.d_scale, plus(d_scale, first_scale), of_scale, "d_scale accumulated");
  expect_close(p.d_bias, plus(d_bias, first_bias), of_scale, "d_bias accumulated");

  p.forward.y = p.x.data();
  const std::vector<double> y = p.y.values();
  run_on_device(p.forward);
  expect_equal(p.x, y, "y in place");
}

GPU_CASE(LayerNormKernel, MatchesReferenceAndAccumulates) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) expect_agreement(c, dtype);
  });
}

GPU_CASE(LayerNormKernel, GradientsOfHalfParametersMayBeF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    expect_agreement({33, 17}, dtype, DType::f32);
  }
  Problem p({2, 3}, DType::f32);
  p.backward.grad_dtype = DType::f16;
  EXPECT_THROW(run_on_device(p.backward), Error);
}

GPU_CASE(LayerNormKernel, GradientsMayBeLeftOut) {
  Problem p({33, 17}, DType::f32);
  run_on_device(p.forward);
  run_on_device(p.backward);
  const auto dx = p.dx.values(), d_bias = p.d_bias.values();
  p.backward.d_scale = p.backward.d_bias = nullptr;
  run_on_device(p.backward);
  expect_equal(p.dx, dx, "dx");
  p.backward.dx = nullptr;
  p.backward.d_bias = p.d_bias.data();
  run_on_device(p.backward);
  expect_equal(p.d_bias, d_bias, "d_bias");
}

}  // namespace
}  // namespace convoy::testing
