// SPDX-License-Identifier: MIT
#include "kernels/loss_scale.h"

#include <cmath>

#include "kernels/optimizer.h"
#include "tests/support/gpu_case.h"

namespace convoy::testing {
namespace {

// Steps of which the marked ones overflow, on the device; its state after each.
std::vector<StepState> run_steps(const StepState& start, const LossScaling& scaling,
                                 const std::string& steps) {
  std::vector<StepState> states;
  StepState now = start;
  for (const char step : steps) {
    now.found_inf = step == '!' ? 1 : 0;
    const DeviceValues<StepState> device({now});
    run_on_device(LossScaleStep{device.data(), scaling});
    now = device.values()[0];
    states.push_back(now);
  }
  return states;
}

std::vector<float> scales(const std::vector<StepState>& states) {
  std::vector<float> result;
  for (const StepState& s : states) result.push_back(s.loss_scale);
  return result;
}

StepState starting_at(float scale) {
  StepState state;
  state.loss_scale = scale;
  return state;
}

GPU_CASE(LossScaleKernel, GrowsAfterTheWindowAndBacksOffAtOnce) {
  const LossScaling scaling{.dynamic = true, .window = 3, .least = 4};
  const auto states = run_steps(starting_at(16), scaling, "...!..!....!!!!.");
  EXPECT_EQ(scales(states),
            (std::vector<float>{16, 16, 32, 16, 16, 16, 8, 8, 8, 16, 16, 8, 4, 4, 4, 4}));
  const StepState& last = states.back();
  EXPECT_EQ(last.updates, 10);
  EXPECT_EQ(last.skipped, 6);
  EXPECT_EQ(last.skipped_in_a_row, 0);
  EXPECT_EQ(last.good_steps, 1);
  EXPECT_EQ(states[14].skipped_in_a_row, 4);
  EXPECT_EQ(states[14].good_steps, 0);
}

GPU_CASE(LossScaleKernel, TheDefaultsArePyTorchs) {
  StepState start = starting_at(65536);
  start.good_steps = 1998;
  const auto states = run_steps(start, {.dynamic = true}, "..!");
  EXPECT_EQ(scales(states), (std::vector<float>{65536, 131072, 65536}));
}

GPU_CASE(LossScaleKernel, AFixedScaleStaysAndSkipsAreCounted) {
  const auto states = run_steps(starting_at(100), {.window = 1}, ".!!.");
  EXPECT_EQ(scales(states), std::vector<float>(4, 100));
  EXPECT_EQ(states[2].skipped_in_a_row, 2);
  EXPECT_EQ(states[3].skipped, 2);
  EXPECT_EQ(states[3].updates, 2);
}

GPU_CASE(LossScaleKernel, TheScaleStaysFinite) {
  const auto states = run_steps(starting_at(0x1p124f), {.dynamic = true, .window = 1}, "....");
  EXPECT_EQ(scales(states), (std::vector<float>{0x1p125f, 0x1p125f, 0x1p125f, 0x1p125f}));
}

GPU_CASE(LossScaleKernel, TheLossStartsAtTheScale) {
  for_each_dtype([](DType dtype) {
    const DeviceArray y(dtype, 1);
    const DeviceValues<StepState> state({starting_at(1024)});
    run_on_device(LossGradient{y.data(), state.data(), dtype});
    expect_equal(y, {1024}, "gradient");
  });
}

// Scaled up and down again, a gradient is what it was: by steps, by clipping and by ScaleGradients.
GPU_CASE(LossScaleKernel, StepsTakeTheScaleOut) {
  StepState host = starting_at(512);
  host.gradient_factor = 0.5f;
  host.learning_rate[0] = 1;
  const DeviceValues<StepState> state({host});
  const DeviceArray p(DType::f32, std::vector<double>{1, 2}), g(DType::f32, {512, -1024});
  const DeviceValues<double> squared({512.0 * 512 + 1024.0 * 1024});
  run_on_device(SgdStep{2, p.data(), g.data(), nullptr, state.data(), 0, DType::f32});
  expect_equal(p, {0.5, 3}, "parameter");
  run_on_device(ClipFactor{squared.data(), 100, state.data()});
  EXPECT_FLOAT_EQ(state.values()[0].gradient_norm, std::sqrt(5.0f) / 2);
  EXPECT_EQ(state.values()[0].clip_factor, 1);
  run_on_device(ScaleGradients{2, g.data(), state.data(), DType::f32});
  expect_equal(g, {0.5, -1}, "gradient");
}

}  // namespace
}  // namespace convoy::testing
