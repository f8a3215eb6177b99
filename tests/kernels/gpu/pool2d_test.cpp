// SPDX-License-Identifier: MIT
#include "kernels/pool2d.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/pool2d.h"

namespace convoy::testing {
namespace {

struct Case {
  Shape x;
  Pool2dOptions options;
};
const Case kCases[] = {
    {{1, 1, 1, 1}, {}},
    {{2, 4, 6, 6}, {.kernel_size = {2, 2}}},
    {{1, 3, 3, 129}, {.kernel_size = {2, 2}, .ceil_mode = true}},
    {{2, 7, 9, 3}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {{2, 6, 7, 5},
     {.kernel_size = {3, 3},
      .stride = {2, 2},
      .padding = {1, 1},
      .ceil_mode = true,
      .count_include_pad = false}},
    {{1, 5, 7, 2}, {.kernel_size = {3, 2}, .stride = {1, 3}, .padding = {1, 0}}},
    {{1, 5, 7, 2}, {.kernel_size = {2, 3}, .stride = {3, 4}, .ceil_mode = true}},
    {{1, 4, 4, 8}, {.kernel_size = {4, 4}, .stride = {3, 3}, .padding = {2, 2}, .ceil_mode = true}},
    {{2, 5, 6, 24}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {{1, 6, 11, 8}, {.kernel_size = {2, 7}, .stride = {1, 2}}},  // longer than what is asked for
    {{2, 5, 9, 16}, {.kernel_size = {3, 5}, .stride = {2, 2}}},
    {{0, 4, 4, 8}, {.kernel_size = {2, 2}}},
};
const Case kDilated[] = {
    {{2, 9, 7, 4},
     {.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}, .dilation = {2, 3}}},
    {{1, 7, 10, 3},
     {.kernel_size = {2, 2}, .stride = {3, 3}, .dilation = {4, 2}, .ceil_mode = true}},
    {{1, 1, 5, 2},  // windows that look at nothing
     {.kernel_size = {2, 1}, .stride = {1, 1}, .padding = {2, 0}, .dilation = {3, 1}}},
};
struct Adaptive {
  Shape x;
  PoolSize out;
};
const Adaptive kAdaptive[] = {
    {{3, 5, 4, 7}, {1, 1}}, {{1, 7, 10, 3}, {3, 4}}, {{2, 3, 2, 4}, {5, 7}},
    {{1, 6, 6, 2}, {6, 6}}, {{1, 7, 10, 8}, {3, 4}},
};

std::string to_text(const Pool2dGeometry& g) {
  return convoy::to_text(g.input_shape()) + " to " + convoy::to_text(g.output_shape());
}

// Many equal values: the first one wins.
std::vector<double> values_with_ties(const Pool2dGeometry& g, DType dtype) {
  std::vector<double> x = random_doubles(dtype, g.input_shape().count(), 1);
  for (double& v : x) v = std::round(v * 4);
  return x;
}

void expect_max(const Pool2dGeometry& g, DType dtype, const std::vector<double>& x) {
  SCOPED_TRACE(to_text(g));
  const auto ref = reference::pool2d_of(g);
  const std::int64_t outputs = g.output_shape().count();
  const DeviceArray device_x(dtype, x), y(dtype, outputs), indices(DType::i32, outputs);
  MaxPool2dForward op{g, device_x.data(), y.data(), indices.as<std::int32_t>(), dtype};
  run_on_device(op);
  std::vector<double> largest;
  ref.for_each_output([&](auto n, auto p, auto q, auto c) {
    largest.push_back(static_cast<double>(ref.largest(x, n, p, q, c)));
  });
  expect_equal(y, ref.max_forward(x), "y");
  expect_equal(indices, largest, "indices");
  op.indices = nullptr;
  run_on_device(op);

  const std::vector<double> dy = random_doubles(dtype, outputs, 2);
  const DeviceArray device_dy(dtype, dy), dx(dtype, g.input_shape().count());
  MaxPool2dBackward back{g, device_dy.data(), indices.as<std::int32_t>(), dx.data(), false, dtype};
  run_on_device(back);
  const std::vector<double> once = dx.values(), expected = ref.max_backward(x, dy);
  expect_close(once, dtype, expected, {.k = 9}, "dx");
  back.accumulate = true;
  run_on_device(back);
  expect_close(dx, plus(expected, once), {.k = 9}, "dx accumulated");
}

GPU_CASE(Pool2dKernel, MaxAgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      const Pool2dGeometry g = pool2d_geometry("max_pool2d", c.x, c.options);
      expect_max(g, dtype, values_with_ties(g, dtype));
    }
    for (const Case& c : kDilated) {
      const Pool2dGeometry g = pool2d_geometry("max_pool2d", c.x, c.options);
      expect_max(g, dtype, values_with_ties(g, dtype));
    }
  });
}

GPU_CASE(Pool2dKernel, MaxOfInfinitiesAndNaN) {
  for_each_dtype([](DType dtype) {
    const Pool2dGeometry g = pool2d_geometry(
        "max_pool2d", {1, 4, 5, 2}, {.kernel_size = {3, 3}, .stride = {1, 1}, .padding = {1, 1}});
    std::vector<double> x(40, -INFINITY);
    x[2] = x[25] = x[26] = NAN;
    x[39] = INFINITY;
    expect_max(g, dtype, x);
  });
}

void expect_average(const Pool2dGeometry& g, DType dtype) {
  SCOPED_TRACE(to_text(g));
  const auto ref = reference::pool2d_of(g);
  const std::vector<double> x = random_doubles(dtype, g.input_shape().count(), 3);
  const std::vector<double> dy = random_doubles(dtype, g.output_shape().count(), 4);
  const DeviceArray device_x(dtype, x), y(dtype, g.output_shape().count());
  run_on_device(AvgPool2dForward{g, device_x.data(), y.data(), dtype});
  expect_close(y, ref.avg_forward(x), {.k = 16}, "y");

  const DeviceArray device_dy(dtype, dy), dx(dtype, g.input_shape().count());
  AvgPool2dBackward back{g, device_dy.data(), dx.data(), false, dtype};
  run_on_device(back);
  const std::vector<double> once = dx.values(), expected = ref.avg_backward(dy);
  expect_close(once, dtype, expected, {.k = 16}, "dx");
  back.accumulate = true;
  run_on_device(back);
  expect_close(dx, plus(expected, once), {.k = 16}, "dx accumulated");
}

GPU_CASE(Pool2dKernel, AverageAgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases)
      expect_average(pool2d_geometry("avg_pool2d", c.x, c.options), dtype);
    for (const Adaptive& a : kAdaptive) {
      expect_average(adaptive_pool2d_geometry("adaptive_avg_pool2d", a.x, a.out), dtype);
    }
  });
}

}  // namespace
}  // namespace convoy::testing
