// SPDX-License-Identifier: MIT
// The ops that a fused norm and a step with a loss scale are made of, repeated.
#include <array>
#include <bit>
#include <limits>

#include "kernels/cross_entropy.h"
#include "kernels/loss_scale.h"
#include "kernels/norm_act.h"
#include "kernels/optimizer.h"
#include "tests/kernels/gpu/repeat.h"

namespace convoy::testing {
namespace {

// What the kernels have written; between the fields there may be anything.
std::vector<double> fields_of(const DeviceValues<StepState>& state) {
  const StepState s = state.values()[0];
  return {s.clip_factor,        s.gradient_norm,   double(s.found_inf),
          double(s.first_bad),  double(s.updates), s.loss_scale,
          double(s.good_steps), double(s.skipped), double(s.skipped_in_a_row)};
}

TEST(Repeats, NormAndActivation) {
  for_each_dtype([](DType dtype) {
    const DeviceArray x = some(dtype, 1), dy = some(dtype, 2), scale = some(dtype, 3, kColumns),
                      mean = some(DType::f32, 4, kColumns);
    const DeviceArray var(DType::f32, std::vector<double>(kColumns, 0.5));
    expect_same_bits("norm_act", [&] {
      const DeviceArray y(dtype, kCount), g(dtype, kCount), sums(DType::f32, 2 * kColumns),
          d_scale(dtype, kColumns), d_bias(dtype, kColumns);
      const DeviceValues<NormLine> lines{std::vector<NormLine>(kColumns)};
      const DeviceValues<NormGradientLine> out{std::vector<NormGradientLine>(kColumns)};
      run_on_device(NormLinesFromBatch{.rows = kRows,
                                       .channels = kColumns,
                                       .mean = mean.as<float>(),
                                       .var = var.as<float>(),
                                       .scale = scale.data(),
                                       .bias = nullptr,
                                       .running_mean = nullptr,
                                       .running_var = nullptr,
                                       .lines = lines.data(),
                                       .momentum = 0.1,
                                       .eps = 1e-5,
                                       .dtype = dtype});
      run_on_device(NormAct{kRows, kColumns, x.data(), lines.data(), dy.data(), nullptr, y.data(),
                            true, dtype});
      run_on_device(NormActBackward{kRows, kColumns, dy.data(), x.data(), lines.data(), y.data(),
                                    g.data(), sums.as<float>(), true, dtype});
      run_on_device(NormGradientLines{kRows, kColumns, lines.data(), sums.as<float>(),
                                      sums.as<float>() + kColumns, d_scale.data(), d_bias.data(),
                                      out.data(), false, false, dtype});
      Bytes all = bytes_of(y, g, sums, d_scale, d_bias);
      for (const NormGradientLine& line : out.values()) {
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(&line);
        all.insert(all.end(), bytes, bytes + sizeof line);
      }
      return all;
    });
  });
}

// Two gradients are not finite: which is the first must not depend on who finds his sooner.
TEST(Repeats, AStepThatOverflows) {
  for_each_dtype([](DType dtype) {
    auto values = random_doubles(dtype, kCount, 1);
    values[700] = values[2100] = std::numeric_limits<double>::infinity();
    const DeviceArray bad(dtype, values);
    const DeviceValues<ParameterSlice> slices({{0, 600}, {600, 900}, {1500, kCount - 1500}});
    const DeviceValues<std::int32_t> each({0, 0, 1, 5, 1, 3});
    expect_same_bits("overflow", [&] {
      StepState start;
      start.loss_scale = 8;
      const DeviceValues<StepState> state({start});
      const DeviceArray y(dtype, 1), g(dtype, values), norm(DType::f64, std::vector<double>{2, 3});
      run_on_device(LossGradient{y.data(), state.data(), dtype});
      run_on_device(ScaleGradients{kCount, g.data(), state.data(), dtype});
      run_on_device(CheckFinite{kCount, bad.data(), state.data(), dtype, slices.data(), 3});
      run_on_device(AgreeOnFinite{3, each.data(), state.data()});
      run_on_device(ClipFactor{norm.as<double>(), 0.5, state.data(), 2});
      run_on_device(LossScaleStep{state.data(), {.dynamic = true}});
      Bytes all = bytes_of(y, g);
      for (const double field : fields_of(state)) {
        const auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof field>>(field);
        all.insert(all.end(), bytes.begin(), bytes.end());
      }
      return all;
    });
  });
}

TEST(Repeats, MoreOptimizersAndCounts) {
  for_each_dtype([](DType dtype) {
    StepState step;
    step.learning_rate[0] = 0.1f;
    step.ema_decay = 0.9f;
    const DeviceValues<StepState> state({step});
    const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(kRows, 3));
    const DeviceArray gradient = some(dtype, 2);
    expect_same_bits("steps", [&] {
      const DeviceArray p = some(dtype, 1), momentum = some(dtype, 3), mean = some(dtype, 4),
                        average = some(dtype, 5);
      const DeviceArray squares(dtype, std::vector<double>(kCount, 0.5)), counts(DType::i64, 3);
      run_on_device(RmspropStep{kCount,
                                p.data(),
                                gradient.data(),
                                squares.data(),
                                momentum.data(),
                                mean.data(),
                                state.data(),
                                0,
                                dtype,
                                {.momentum = 0.9}});
      run_on_device(EmaStep{kCount, average.data(), p.data(), state.data(), dtype});
      run_on_device(TopKCount{.rows = kRows,
                              .classes = kColumns,
                              .logits = p.data(),
                              .target = target.data(),
                              .correct = counts.as<std::int64_t>(),
                              .dtype = dtype});
      return bytes_of(p, momentum, mean, squares, average, counts);
    });
  });
}

}  // namespace
}  // namespace convoy::testing
