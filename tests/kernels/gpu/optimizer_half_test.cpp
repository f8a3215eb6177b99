// SPDX-License-Identifier: MIT
// Masters in f32 and the model's weights in half, stepped by one launch: masters and state have the
// bits of the f32 optimizer, the weights those of its parameters rounded.
#include <cmath>
#include <functional>

#include "kernels/optimizer.h"
#include "tests/support/fenced_array.h"

namespace convoy::testing {
namespace {

constexpr double kUntouched = 3;

StepState state_of(bool overflow) {
  StepState state;
  state.updates = 3;
  state.learning_rate[1] = 0.05f;
  state.gradient_factor = 0.25f;
  state.loss_scale = 128;
  state.found_inf = overflow;
  return state;
}

struct Result {
  std::vector<double> parameter, a, b, half;
};

// parameter, gradient, two arrays of state, StepState and the half copy to one optimizer.
using Launch = std::function<void(std::int64_t count, void* p, const void* g, void* a, void* b,
                                  const StepState* state, HalfCopy half)>;

Result run_once(const Launch& launch, std::int64_t count, std::int64_t shift, DType half_dtype,
                bool with_half, bool overflow = false) {
  const auto f32 = DType::f32;
  std::vector<double> squares = random_doubles(f32, count, 4);
  for (double& v : squares) v = v * v;
  std::vector<double> gradients = random_doubles(f32, count, 2);
  for (double& v : gradients) v *= 128;
  const FencedArray p(f32, random_doubles(f32, count, 1), shift);
  const FencedArray g(f32, rounded(f32, gradients), shift);
  const FencedArray a(f32, random_doubles(f32, count, 3), shift);
  const FencedArray b(f32, rounded(f32, squares), shift);
  const FencedArray half(half_dtype,
                         std::vector<double>(static_cast<std::size_t>(count), kUntouched), shift);
  const DeviceValues<StepState> state({state_of(overflow)});
  launch(count, p.data(), g.data(), a.data(), b.data(), state.data(),
         with_half ? HalfCopy{half.data(), half_dtype} : HalfCopy{});
  return {p.values(), a.values(), b.values(), half.values()};
}

void expect_masters(const Launch& launch, std::int64_t count, std::int64_t shift) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    SCOPED_TRACE(::testing::Message() << name(dtype) << " of " << count);
    const Result plain = run_once(launch, count, shift, dtype, false);
    const Result mixed = run_once(launch, count, shift, dtype, true);
    EXPECT_EQ(mixed.parameter, plain.parameter);
    EXPECT_EQ(mixed.a, plain.a);
    EXPECT_EQ(mixed.b, plain.b);
    EXPECT_EQ(mixed.half, rounded(dtype, plain.parameter));
  }
}

void expect_all(const Launch& launch) {
  for (const std::int64_t count : {0, 1, 3, 4, 5, 257, 1030}) {
    expect_masters(launch, count, kAligned);
  }
  expect_masters(launch, 33, kMisaligned);
  const Result skipped = run_once(launch, 33, kAligned, DType::f16, true, true);
  EXPECT_EQ(skipped.half, std::vector<double>(33, kUntouched)) << "an overflow writes nothing";
}

GPU_CASE(MasterWeights, Sgd) {
  expect_all([](auto count, void* p, auto* g, void* a, void*, auto* state, HalfCopy half) {
    run_on_device(SgdStep{count,
                          p,
                          g,
                          a,
                          state,
                          1,
                          DType::f32,
                          {.momentum = 0.9, .weight_decay = 0.1, .nesterov = true},
                          half});
  });
}

GPU_CASE(MasterWeights, AdamW) {
  expect_all([](auto count, void* p, auto* g, void* a, void* b, auto* state, HalfCopy half) {
    run_on_device(AdamWStep{count, p, g, a, b, state, 1, DType::f32, {}, half});
  });
}

GPU_CASE(MasterWeights, Rmsprop) {
  expect_all([](auto count, void* p, auto* g, void* a, void* b, auto* state, HalfCopy half) {
    run_on_device(
        RmspropStep{count, p, g, b, a, nullptr, state, 1, DType::f32, {.momentum = 0.5}, half});
  });
}

GPU_CASE(MasterWeights, Lars) {
  const auto launch = [](auto count, void* p, auto* g, void* a, void*, auto* state, HalfCopy half) {
    const DeviceValues<ParameterSlice> slices({{0, count}});
    run_on_device(
        LarsStep{slices.data(), 1, p, g, a, state, 1, DType::f32, {.weight_decay = 0.1}, half});
  };
  expect_all(launch);
}

// Where there is no master there can be no copy of it.
GPU_CASE(MasterWeights, OtherDtypesAreRefused) {
  int place = 0;
  const HalfCopy wide{&place, DType::f32}, half{&place, DType::f16};
  EXPECT_THROW(run_on_device(SgdStep{0, {}, {}, {}, {}, 0, DType::f32, {}, wide}), Error);
  EXPECT_THROW(run_on_device(AdamWStep{0, {}, {}, {}, {}, {}, 0, DType::f16, {}, half}), Error);
  EXPECT_THROW(run_on_device(RmspropStep{0, {}, {}, {}, {}, {}, {}, 0, DType::bf16, {}, half}),
               Error);
  EXPECT_THROW(run_on_device(LarsStep{{}, 0, {}, {}, {}, {}, 0, DType::f32, {}, wide}), Error);
}

// Slices with a gap between them and one of no elements.
const std::vector<ParameterSlice> kSlices = {{0, 5}, {8, 300}, {320, 0}, {320, 10}};
constexpr std::int64_t kFlat = 340;

std::int32_t first_bad(DType dtype, const std::vector<std::size_t>& places, bool with_slices,
                       std::int32_t before = kNoParameter) {
  std::vector<double> x(kFlat, 1.0);
  for (const std::size_t place : places) x[place] = place % 2 == 0 ? HUGE_VAL : std::nan("");
  const DeviceArray device_x(dtype, x);
  StepState host;
  host.first_bad = before;
  const DeviceValues<StepState> state({host});
  const DeviceValues<ParameterSlice> slices(kSlices);
  CheckFinite op{kFlat, device_x.data(), state.data(), dtype};
  if (with_slices) op.slices = slices.data(), op.slice_count = 4, op.first_parameter = 7;
  run_on_device(op);
  EXPECT_EQ(state.values()[0].found_inf, places.empty() ? 0 : 1);
  return state.values()[0].first_bad;
}

GPU_CASE(CheckFiniteKernel, NamesTheFirstParameterWithABadGradient) {
  for_each_dtype([](DType dtype) {
    EXPECT_EQ(first_bad(dtype, {}, true), kNoParameter);
    EXPECT_EQ(first_bad(dtype, {0}, true), 7);
    EXPECT_EQ(first_bad(dtype, {4}, true), 7);
    EXPECT_EQ(first_bad(dtype, {8}, true), 8);
    EXPECT_EQ(first_bad(dtype, {329, 307, 9}, true), 8);
    EXPECT_EQ(first_bad(dtype, {321, 329}, true), 10);
    EXPECT_EQ(first_bad(dtype, {5, 7, 308, 330}, true), kNoParameter) << "between the slices";
    EXPECT_EQ(first_bad(dtype, {320, 1}, true, 3), 3) << "an earlier parameter stays";
    EXPECT_EQ(first_bad(dtype, {1}, false), kNoParameter);
  });
}

}  // namespace
}  // namespace convoy::testing
