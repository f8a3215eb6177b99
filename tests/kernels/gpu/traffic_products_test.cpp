// SPDX-License-Identifier: MIT
// Products so shallow that their operands' bytes are what they cost: with a bias, a residual and a
// ReLU they move no more than these and the result.
#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "tests/kernels/gpu/traffic_check.h"

namespace convoy::testing {

TRAFFIC_TEST(GemmEpilogue) {
  constexpr std::int64_t kDepth = 64;
  const auto bytes = static_cast<double>(size_of(dtype));
  const DeviceArray a = random_array(dtype, kRows * kDepth), b = random_array(dtype, 64 * kDepth);
  const DeviceArray bias = random_array(dtype, kColumns), residual = random_array(dtype);
  const DeviceArray c(dtype, kCount);
  Gemm op = dense_gemm(kRows, kColumns, kDepth, a.data(), false, b.data(), true, c.data(), dtype);
  op.epilogue = {.bias = bias.data(), .residual = residual.data(), .activation = Activation::relu};
  expect_least("gemm, bias, residual, relu", op, {{&residual, 1}, {&c, 1}},
               bytes * (kRows * kDepth + 64 * kDepth + kColumns),
               dtype == DType::f32 ? bytes : 2 * bytes);  // wgmma's threads have pairs of a row
}

TRAFFIC_TEST(DepthwiseEpilogue) {
  const Conv2dGeometry g = conv2d_geometry({4, 32, 32, 64}, {64, 1, 1, 1}, {.groups = 64});
  const auto bytes = static_cast<double>(size_of(dtype));
  const DeviceArray x = random_array(dtype), weight = random_array(dtype, 64);
  const DeviceArray bias = random_array(dtype, 64), residual = random_array(dtype);
  const DeviceArray y(dtype, kCount);
  Conv2dForward op{g, x.data(), weight.data(), y.data(), dtype};
  op.epilogue = {.bias = bias.data(), .residual = residual.data(), .activation = Activation::relu};
  expect_least("depthwise, bias, residual, relu", op, {{&x, 1}, {&residual, 1}, {&y, 1}},
               bytes * 128, 4 * bytes);
}

}  // namespace convoy::testing
