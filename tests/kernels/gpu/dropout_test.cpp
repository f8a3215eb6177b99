// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <cmath>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/dropout.h"

namespace convoy::testing {
namespace {

constexpr PhiloxKey kKey{.seed = 42, .stream = 3};

DeviceValues<StepState> state_at(std::int64_t step) {
  StepState state;
  state.step = step;
  return DeviceValues<StepState>({state});
}

void check(DType dtype, std::int64_t count, double p, std::int64_t row,
           std::int64_t shift = kAligned) {
  SCOPED_TRACE(fmt::format("{} elements, p {}, rows of {}", count, p, row));
  const DeviceValues<StepState> state = state_at(5);
  const std::vector<double> x = random_doubles(dtype, count, 1);
  std::vector<double> y, sum;
  for (std::int64_t i = 0; i < count; ++i) {
    y.push_back(reference::dropout(kKey, x[static_cast<std::size_t>(i)], p, 5, i / row));
    sum.push_back(y.back() + 0.5);
  }
  const FencedArray in(dtype, x, shift), out(dtype, count, shift);
  const FencedArray total(dtype, std::vector<double>(x.size(), 0.5), shift);
  Dropout op{count, in.data(), out.data(), kKey, state.data(), p, dtype, row};
  run_on_device(op);
  expect_close(out, y, {}, "dropout");
  op.y = total.data();
  op.accumulate = true;
  run_on_device(op);
  expect_close(total, sum, {}, "dropout accumulate");
  op.y = in.data();
  op.accumulate = false;
  run_on_device(op);
  expect_equal(in, out.values(), "in place");
}

GPU_CASE(DropoutKernel, AgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const double p : {0.0, 0.1, 0.5, 0.9, 1.0}) {
      for (const std::int64_t row : {1, 2, 5, 100}) check(dtype, 257, p, row);
    }
    for (const std::int64_t count : {0, 1, 7, 8, 9, 255, 256, 1000}) {
      check(dtype, count, 0.5, 1);
      check(dtype, count, 0.5, 3, kMisaligned);
      check(dtype, count, 0.5, 1, kMisaligned);
    }
  });
}

// Parts of an array, each with the number of its first element.
void check_parts(DType dtype, std::int64_t row, std::int64_t first,
                 const std::vector<std::int64_t>& sizes) {
  SCOPED_TRACE(fmt::format("rows of {} from element {}", row, first));
  const DeviceValues<StepState> state = state_at(5);
  for (const std::int64_t size : sizes) {
    const std::vector<double> x = random_doubles(dtype, size, static_cast<std::uint32_t>(first));
    std::vector<double> y;
    for (std::int64_t i = 0; i < size; ++i) {
      const std::int64_t fate = (first + i) / row;
      y.push_back(reference::dropout(kKey, x[static_cast<std::size_t>(i)], 0.5, 5, fate));
    }
    const FencedArray in(dtype, x), out(dtype, size);
    run_on_device(Dropout{.count = size,
                          .x = in.data(),
                          .y = out.data(),
                          .key = kKey,
                          .state = state.data(),
                          .p = 0.5,
                          .dtype = dtype,
                          .row = row,
                          .first = first});
    expect_equal(out, y, "part");  // half of the elements doubled: exact
    first += size;
  }
}

GPU_CASE(DropoutKernel, PartsAreDrawnAsTheWholeIs) {
  for_each_dtype([](DType dtype) {
    for (const std::int64_t first : {0, 1, 6, 12}) check_parts(dtype, 1, first, {27, 8, 1, 33, 5});
    for (const std::int64_t row : {3, 7}) check_parts(dtype, row, 2 * row, {4 * row, row, 3 * row});
  });
}

GPU_CASE(DropoutKernel, RefusesAPartThatBeginsInsideARow) {
  Dropout op{0, nullptr, nullptr, kKey, nullptr, 0.5, DType::f32, 3};
  for (const std::int64_t first : {-3, 4}) {
    op.first = first;
    EXPECT_THROW(run_on_device(op), Error);
  }
  op.first = 6;
  run_on_device(op);
}

GPU_CASE(DropoutKernel, ADroppedNaNIsZero) {
  const DeviceValues<StepState> state = state_at(0);
  const FencedArray x(DType::f32, std::vector<double>(9, NAN));
  run_on_device(Dropout{9, x.data(), x.data(), kKey, state.data(), 1, DType::f32});
  expect_equal(x, std::vector<double>(9, 0), "dropped");
}

GPU_CASE(DropoutKernel, RefusesWhatIsNoProbability) {
  for (const double p : {-0.1, 1.1, double{NAN}}) {
    EXPECT_THROW(run_on_device(Dropout{1, nullptr, nullptr, kKey, nullptr, p, DType::f32}), Error);
  }
  EXPECT_THROW(run_on_device(Dropout{1, nullptr, nullptr, kKey, nullptr, 0.5, DType::f32, 0}),
               Error);
}

}  // namespace
}  // namespace convoy::testing
