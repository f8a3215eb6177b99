// SPDX-License-Identifier: MIT
#include "kernels/softmax.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/softmax.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t rows, classes;
};
const Case kCases[] = {{0, 3},  {1, 1},    {2, 2},    {33, 10},  {17, 64},
                       {5, 65}, {3, 1000}, {2, 1100}, {1, 8195}, {1, 8200}};

std::vector<double> logits_of(const Case& c, DType dtype) {
  std::vector<double> x = random_doubles(dtype, c.rows * c.classes, 1);
  for (double& v : x) v *= 8;
  return x;
}

void expect_forward(const Case& c, DType dtype, bool log) {
  const std::vector<double> x = logits_of(c, dtype);
  const auto expected =
      log ? reference::log_softmax(x, c.classes) : reference::softmax(x, c.classes);
  const DeviceArray device_x(dtype, x), y(dtype, c.rows * c.classes);
  SoftmaxForward op{c.rows, c.classes, device_x.data(), y.data(), log, dtype};
  run_on_device(op);
  expect_close(y, expected, {.scale = 16}, "y");
  op.y = device_x.data();
  run_on_device(op);
  expect_equal(device_x, y.values(), "y in place");
}

// y is what the kernel reads: the gradient belongs to its rounded values.
void expect_backward(const Case& c, DType dtype, bool log) {
  const std::int64_t count = c.rows * c.classes;
  const auto p = log ? reference::log_softmax(logits_of(c, dtype), c.classes)
                     : reference::softmax(logits_of(c, dtype), c.classes);
  const std::vector<double> y = rounded(dtype, p), dy = random_doubles(dtype, count, 2);
  std::vector<double> expected(y.size());
  const auto K = static_cast<std::size_t>(c.classes);
  for (std::size_t first = 0; first < y.size(); first += K) {
    double sum = 0;
    for (std::size_t k = first; k < first + K; ++k) sum += log ? dy[k] : dy[k] * y[k];
    for (std::size_t k = first; k < first + K; ++k) {
      expected[k] = log ? dy[k] - std::exp(y[k]) * sum : y[k] * (dy[k] - sum);
    }
  }
  const DeviceArray device_y(dtype, y), device_dy(dtype, dy), dx(dtype, count);
  SoftmaxBackward op{c.rows, c.classes, device_y.data(), device_dy.data(), dx.data(), false,
                     log,    dtype};
  run_on_device(op);
  const std::vector<double> once = dx.values();
  const Bound bound{.k = static_cast<double>(c.classes)};
  expect_close(once, dtype, expected, bound, "dx");
  op.accumulate = true;
  run_on_device(op);
  for (std::size_t i = 0; i < once.size(); ++i) expected[i] += once[i];
  expect_close(dx, expected, bound, "dx accumulated");
}

GPU_CASE(SoftmaxKernel, ForwardMatchesReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.classes);
      for (const bool log : {false, true}) expect_forward(c, dtype, log);
    }
  });
}

GPU_CASE(SoftmaxKernel, BackwardMatchesDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.classes);
      for (const bool log : {false, true}) expect_backward(c, dtype, log);
    }
  });
}

GPU_CASE(SoftmaxKernel, InfinitiesAndNaN) {
  for_each_dtype([](DType dtype) {
    const DeviceArray x(dtype, {30000, 0, -INFINITY, 0, -INFINITY, -INFINITY, NAN, 0, INFINITY, 0});
    const DeviceArray y(dtype, 10);
    SoftmaxForward op{5, 2, x.data(), y.data(), false, dtype};
    run_on_device(op);
    expect_equal(y, {1, 0, 0, 1, NAN, NAN, NAN, NAN, NAN, NAN}, "softmax");
    op.log = true;
    run_on_device(op);
    const double far = -rounded(dtype, {30000})[0];
    expect_equal(y, {0, far, -INFINITY, 0, NAN, NAN, NAN, NAN, NAN, NAN}, "log_softmax");
  });
}

}  // namespace
}  // namespace convoy::testing
