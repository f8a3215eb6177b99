// SPDX-License-Identifier: MIT
#include "kernels/reduce.h"

#include <algorithm>
#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/reduce.h"

namespace convoy::testing {
namespace {

struct Case {
  const char* name;
  Shape shape;
  std::uint32_t axes;
  Strides strides = {};  // dense where empty

  Strides dense_or_given() const {
    return strides.rank() == shape.rank() ? strides : contiguous_strides(shape);
  }
  std::int64_t memory() const {
    const Strides s = dense_or_given();
    std::int64_t last = 0;
    for (int d = 0; d < shape.rank(); ++d) last += (shape[d] - 1) * s[d];
    return shape.count() == 0 ? 0 : last + 1;
  }
};

const Case kCases[] = {
    {"a single value", {}, 0},
    {"a copy", {31}, 0b1},
    {"short rows", {40, 3}, 0b10},
    {"rows for a warp", {5, 129}, 0b10},
    {"rows for a block", {3, 700}, 0b10},
    {"few short columns", {7, 5}, 0b01},
    {"columns", {129, 33}, 0b01},
    {"ten columns", {300, 10}, 0b01},
    {"all, in splits", {9001}, 0b1},
    {"columns in splits", {1300, 17}, 0b01},
    {"every other dimension", {2, 3, 4, 5}, 0b0101},
    {"the others", {2, 3, 4, 5}, 0b1010},
    {"outer and inner", {3, 40, 33}, 0b101},
    {"transposed", {33, 40}, 0b01, {1, 33}},
    {"transposed rows", {33, 40}, 0b10, {1, 33}},
    {"every other element", {4, 33}, 0b10, {80, 2}},
    {"broadcast", {33, 4}, 0b01, {0, 1}},
    {"packs of rows for a warp", {5, 136}, 0b10},
    {"packs of rows for a block", {3, 720}, 0b10},
    {"packs of all, in splits", {9008}, 0b1},
    {"few packs of columns", {7, 8}, 0b01},
    {"packs of columns in splits", {1300, 24}, 0b01},
    {"packs of columns in a block", {3, 40, 48}, 0b010},
    {"packs beside", {4, 16}, 0b10, {24, 1}},
    {"no packs beside", {4, 16}, 0b10, {25, 1}},
    {"no terms", {0, 4}, 0b01},
    {"no outputs", {4, 0}, 0b01},
};

double terms_of(const Case& c) {
  return static_cast<double>(reduced_extents(c.shape, c.axes).count());
}

// The factor lies dense, whatever x does.
void expect_sum(const Case& c, DType dtype, std::optional<DType> out_dtype = {}) {
  const Strides strides = c.dense_or_given(), dense = contiguous_strides(c.shape);
  const std::vector<double> x = random_doubles(dtype, c.memory(), 1);
  const std::vector<double> f = random_doubles(dtype, c.shape.count(), 2);
  const DeviceArray device_x(dtype, x), device_f(dtype, f);
  const DeviceArray y(out_dtype.value_or(dtype), kept_extents(c.shape, c.axes).count());
  ReduceSum op{c.shape, strides, c.axes, device_x.data(), y.data(), dtype};
  op.out_dtype = out_dtype;
  run_on_device(op);
  expect_close(y, reference::sum(c.shape, c.axes, strides, x.data()), {.k = terms_of(c)}, c.name);

  op.factor = device_f.data();
  op.factor_strides = dense;
  op.scale = -0.5;
  run_on_device(op);
  auto products = reference::sum(c.shape, c.axes, strides, x.data(), dense, f.data());
  for (double& v : products) v *= -0.5;
  const std::vector<double> once = y.values();
  expect_close(y, products, {.k = terms_of(c)}, std::string(c.name) + " with a factor");

  op.accumulate = true;
  run_on_device(op);
  for (std::size_t i = 0; i < products.size(); ++i) products[i] += once[i];
  expect_close(y, products, {.k = terms_of(c)}, std::string(c.name) + " accumulated");
}

GPU_CASE(ReduceKernel, SumAgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) expect_sum(c, dtype);
  });
}

GPU_CASE(ReduceKernel, SumOfHalvesMayBeF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const Case& c : {kCases[6], kCases[9]}) expect_sum(c, dtype, DType::f32);
  }
}

GPU_CASE(ReduceKernel, SumKeepsWhatF32RoundsOff) {
  // 125 terms a thread: beside 2^24 a one is lost in f32.
  std::vector<double> x(1000 * 32, 1.0);
  for (int column = 0; column < 32; ++column) x[static_cast<std::size_t>(column)] = 0x1p24;
  const DeviceArray device_x(DType::f32, x), y(DType::f32, 32);
  run_on_device(ReduceSum{{1000, 32}, {32, 1}, 0b01, device_x.data(), y.data(), DType::f32});
  expect_equal(y, rounded(DType::f32, std::vector<double>(32, 0x1p24 + 999)), "sum");
}

GPU_CASE(ReduceKernel, SumBeyondF32IsInfinite) {
  // Four terms a thread, and the last is too many: what an infinite total has lost is not finite.
  const std::vector<double> x(16 * 32, 1e38), beyond(32, INFINITY);
  const DeviceArray device_x(DType::f32, x), y(DType::f32, 32);
  run_on_device(ReduceSum{{16, 32}, {32, 1}, 0b01, device_x.data(), y.data(), DType::f32});
  expect_equal(y, beyond, "sum");
}

GPU_CASE(ReduceKernel, SumOfInfinitiesAndNaN) {
  for_each_dtype([](DType dtype) {
    std::vector<double> x(600 * 4, 1.0);
    x[17 * 4 + 1] = INFINITY;
    x[17 * 4 + 2] = INFINITY;
    x[500 * 4 + 2] = -INFINITY;
    x[599 * 4 + 3] = NAN;
    const DeviceArray device_x(dtype, x), y(dtype, 4);
    run_on_device(ReduceSum{{600, 4}, {4, 1}, 0b01, device_x.data(), y.data(), dtype});
    expect_equal(y, {600, INFINITY, NAN, NAN}, "sum");
  });
}

// Many equal values, some NaN.
std::vector<double> values_with_ties(const Case& c, DType dtype) {
  std::vector<double> x = random_doubles(dtype, c.memory(), 3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::round(x[i] * 8) / 8;
    if (i % 397 == 50) x[i] = NAN;
    if (i < 5) x[i] = -INFINITY;
  }
  return x;
}

std::vector<double> values_at(const Case& c, const std::vector<double>& x,
                              const std::vector<std::int64_t>& index) {
  std::vector<double> values(index.size());
  for (std::int64_t i = 0; i < c.shape.count(); ++i) {
    const auto place = reference::place_of(c.shape, c.dense_or_given(), c.axes, i);
    const auto k = static_cast<std::size_t>(place.output);
    if (place.term == index[k]) values[k] = x[static_cast<std::size_t>(place.offset)];
  }
  return values;
}

void expect_max(const Case& c, DType dtype) {
  const std::vector<double> x = values_with_ties(c, dtype);
  const auto expected = reference::argmax(c.shape, c.axes, c.dense_or_given(), x.data());
  const auto outputs = static_cast<std::int64_t>(expected.size());
  const DeviceArray device_x(dtype, x), y(dtype, outputs), index(DType::i64, outputs);
  ReduceMax op{c.shape,  c.dense_or_given(),       c.axes, device_x.data(),
               y.data(), index.as<std::int64_t>(), dtype};
  if (c.shape.count() == 0 && outputs > 0) {
    EXPECT_THROW(run_on_device(op), Error);
    return;
  }
  run_on_device(op);
  expect_equal(index, {expected.begin(), expected.end()}, c.name);
  expect_equal(y, values_at(c, x, expected), c.name);
  op.y = op.index = nullptr;
  run_on_device(op);
}

GPU_CASE(ReduceKernel, MaxAgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) expect_max(c, dtype);
  });
}

void expect_max_backward(const Case& c, DType dtype) {
  const std::int64_t outputs = kept_extents(c.shape, c.axes).count();
  const std::int64_t terms = reduced_extents(c.shape, c.axes).count();
  std::vector<double> index(static_cast<std::size_t>(outputs)), expected;
  for (std::int64_t k = 0; k < outputs; ++k) {
    index[static_cast<std::size_t>(k)] = static_cast<double>(k * 37 % terms);
  }
  const std::vector<double> dy = random_doubles(dtype, outputs, 4);
  for (std::int64_t i = 0; i < c.shape.count(); ++i) {
    const auto place = reference::place_of(c.shape, contiguous_strides(c.shape), c.axes, i);
    const auto k = static_cast<std::size_t>(place.output);
    expected.push_back(static_cast<double>(place.term) == index[k] ? dy[k] : 0);
  }
  const DeviceArray device_dy(dtype, dy), device_index(DType::i64, index);
  const DeviceArray dx(dtype, c.shape.count());
  ReduceMaxBackward op{c.shape,   c.axes, device_dy.data(), device_index.as<std::int64_t>(),
                       dx.data(), dtype};
  run_on_device(op);
  expect_equal(dx, expected, c.name);
  op.accumulate = true;
  run_on_device(op);
  for (double& v : expected) v *= 2;
  expect_equal(dx, expected, std::string(c.name) + " accumulated");
}

GPU_CASE(ReduceKernel, MaxBackwardReachesTheChosenElements) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      if (c.shape.count() > 0 || kept_extents(c.shape, c.axes).count() == 0) {
        expect_max_backward(c, dtype);
      }
    }
  });
}

GPU_CASE(ReduceKernel, RepeatsBitByBit) {
  const std::vector<double> x = random_doubles(DType::f32, 9001, 5);
  const DeviceArray device_x(DType::f32, x), y(DType::f32, 1);
  const ReduceSum op{{9001}, {1}, 0b1, device_x.data(), y.data(), DType::f32};
  run_on_device(op);
  static const std::vector<double> first = y.values();  // over all schedules
  expect_equal(y, first, "sum");
}

GPU_CASE(ReduceKernel, RefusesOtherDtypes) {
  EXPECT_THROW(run_on_device(ReduceSum{{2}, {1}, 0b1, nullptr, nullptr, DType::i64}), Error);
  ReduceSum mixed{{2}, {1}, 0b1, nullptr, nullptr, DType::bf16};
  mixed.out_dtype = DType::f16;
  EXPECT_THROW(run_on_device(mixed), Error);
}

}  // namespace
}  // namespace convoy::testing
