// SPDX-License-Identifier: MIT
// The special values of special_values.h as parameters and as their gradients.
#include <cmath>

#include "kernels/loss_scale.h"
#include "kernels/optimizer.h"
#include "tests/kernels/gpu/special_values.h"

namespace convoy::testing {
namespace {

// Each element by itself; a gradient of zero leaves a finite parameter as it is, sign and denormals
// included, and one that is not a number makes it NaN.
GPU_CASE(SpecialSteps, SgdAndAdamW) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    StepState step;
    step.learning_rate[0] = 0.5f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const std::vector<double> zeros(values.size(), 0.0), ones(values.size(), 1.0);
    std::vector<double> kept = values;
    for (double& v : kept) v = std::isfinite(v) ? v : NAN;
    {
      const FencedArray p(dtype, values), g(dtype, zeros);
      run_on_device(SgdStep{n, p.data(), g.data(), nullptr, state.data(), 0, dtype});
      expect_equal(p, kept, "sgd without a gradient");
    }
    {
      const FencedArray p(dtype, values), g(dtype, zeros), m(dtype, zeros), v(dtype, zeros);
      run_on_device(AdamWStep{
          n, p.data(), g.data(), m.data(), v.data(), state.data(), 0, dtype, {.weight_decay = 0}});
      expect_equal(p, kept, "adamw without a gradient");
    }
    {
      const FencedArray p(dtype, ones), g(dtype, values);
      run_on_device(SgdStep{n, p.data(), g.data(), nullptr, state.data(), 0, dtype});
      std::vector<double> expected;
      for (const double v : values) expected.push_back(1 - 0.5 * v);
      expect_special(p, expected, "sgd");
    }
    {
      const FencedArray p(dtype, ones), g(dtype, values), m(dtype, zeros), v(dtype, zeros);
      run_on_device(AdamWStep{
          n, p.data(), g.data(), m.data(), v.data(), state.data(), 0, dtype, {.weight_decay = 0}});
      const std::vector<double> found = p.values();
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(std::isfinite(found[i]), std::isfinite(values[i])) << "adamw, " << values[i];
      }
    }
  });
}

// The gradient's size does not matter to it: only whether it is a number.
GPU_CASE(SpecialSteps, Rmsprop) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    StepState step;
    step.learning_rate[0] = 0.5f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const std::vector<double> zeros(values.size(), 0.0), ones(values.size(), 1.0);
    const FencedArray p(dtype, ones), g(dtype, values), s(dtype, zeros);
    run_on_device(RmspropStep{n,
                              p.data(),
                              g.data(),
                              s.data(),
                              nullptr,
                              nullptr,
                              state.data(),
                              0,
                              dtype,
                              {.alpha = 0.75}});
    const std::vector<double> found = p.values();
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(std::isfinite(found[i]), std::isfinite(values[i])) << values[i];
      if (std::abs(values[i]) < 1 || !std::isfinite(values[i])) continue;
      EXPECT_EQ(found[i], values[i] > 0 ? 0 : 2);
    }
  });
}

// Each element a parameter of its own: the others do not hear of one that is lost.
GPU_CASE(SpecialSteps, Lars) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    StepState step;
    step.learning_rate[0] = 0.5f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    std::vector<ParameterSlice> each;
    for (std::int64_t i = 0; i < n; ++i) each.push_back({i, 1});
    const DeviceValues<ParameterSlice> slices(each);
    for (const double decay : {0.0, 0.5}) {
      const FencedArray p(dtype, std::vector<double>(values.size(), 1.0)), g(dtype, values);
      const FencedArray momentum(dtype, std::vector<double>(values.size(), 0.0));
      run_on_device(LarsStep{slices.data(),
                             n,
                             p.data(),
                             g.data(),
                             momentum.data(),
                             state.data(),
                             0,
                             dtype,
                             {.weight_decay = decay, .trust_coefficient = 0.5}});
      std::vector<double> expected;
      for (const double v : values) {
        const double trust = decay == 0 || v == 0 ? 1 : 0.5 / (std::abs(v) + decay + 1e-8);
        expected.push_back(1 - 0.5 * trust * (v + decay));
      }
      expect_close(p.values(), dtype, expected, {.scale = kLarge}, "lars");
    }
  });
}

GPU_CASE(SpecialSteps, Averages) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    const std::int64_t n = std::ssize(values);
    StepState step;
    step.ema_decay = 0.5f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const FencedArray average(dtype, std::vector<double>(values.size(), 1.0));
    const FencedArray p(dtype, values);
    run_on_device(EmaStep{n, average.data(), p.data(), state.data(), dtype});
    std::vector<double> expected;
    for (const double v : values) expected.push_back(0.5 + 0.5 * v);
    expect_special(average, expected, "average");
  });
}

// A scale beyond f16 begins a gradient of infinity, which the step then finds.
GPU_CASE(SpecialSteps, LossScaling) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> values = specials(dtype);
    StepState step;
    step.loss_scale = 0x1p17f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const FencedArray y(dtype, 1), g(dtype, values);
    run_on_device(LossGradient{y.data(), state.data(), dtype});
    expect_special(y, {0x1p17}, "loss gradient");
    run_on_device(ScaleGradients{std::ssize(values), g.data(), state.data(), dtype});
    std::vector<double> expected;
    for (const double v : values) expected.push_back(v * 0x1p-17);
    expect_special(g, expected, "gradients");
  });
}

}  // namespace
}  // namespace convoy::testing
