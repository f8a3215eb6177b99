// SPDX-License-Identifier: MIT
// What comes before an optimizer's step: whether gradients are finite, their norm, and its factor.
#include <cmath>

#include "kernels/optimizer.h"
#include "tests/support/fenced_array.h"
#include "tests/support/reference/optimizer.h"

namespace convoy::testing {
namespace {

int found_inf(DType dtype, const std::vector<double>& values, int before, std::int64_t shift) {
  const FencedArray x(dtype, values, shift);
  StepState host;
  host.found_inf = before;
  const DeviceValues<StepState> state({host});
  run_on_device(CheckFinite{x.count(), x.data(), state.data(), dtype});
  return state.values()[0].found_inf;
}

GPU_CASE(CheckFiniteKernel, FindsOneBadValueAnywhere) {
  for_each_dtype([](DType dtype) {
    const double largest = dtype == DType::f16    ? 65504
                           : dtype == DType::bf16 ? 0x1.fep127
                                                  : 0x1.fffffep127;
    for (const std::int64_t count : {0, 9, 257}) {
      for (const std::int64_t shift : {kAligned, kMisaligned}) {
        std::vector<double> x(static_cast<std::size_t>(count), -largest);
        EXPECT_EQ(found_inf(dtype, x, 0, shift), 0);
        EXPECT_EQ(found_inf(dtype, x, 1, shift), 1) << "must not be cleared";
        for (const std::int64_t at : {std::int64_t{0}, count / 2, count - 1}) {
          if (count == 0) continue;
          for (const double bad : {double{NAN}, HUGE_VAL, -HUGE_VAL}) {
            x[static_cast<std::size_t>(at)] = bad;
            EXPECT_EQ(found_inf(dtype, x, 0, shift), 1) << bad << " at " << at << " of " << count;
          }
          x[static_cast<std::size_t>(at)] = 0;
        }
      }
    }
  });
}

GPU_CASE(CheckFiniteKernel, LooksAtNothingElse) {
  std::vector<double> values = random_doubles(DType::f16, 257, 1);
  values.push_back(NAN);
  const DeviceArray x(DType::f16, values);
  const DeviceValues<StepState> state({StepState{}});
  run_on_device(CheckFinite{257, x.data(), state.data(), DType::f16});
  EXPECT_EQ(state.values()[0].found_inf, 0);
}

double squared_norm(DType dtype, const std::vector<double>& values, std::int64_t shift,
                    double before, bool accumulate) {
  const FencedArray x(dtype, values, shift);
  const DeviceValues<double> y({before});
  run_on_device(SquaredNorm{x.count(), x.data(), y.data(), dtype, accumulate});
  return y.values()[0];
}

GPU_CASE(SquaredNormKernel, AgreesWithTheDefinitionInDoublePrecision) {
  for_each_dtype([](DType dtype) {
    for (const std::int64_t count : {0, 1, 7, 8, 9, 255, 257, 4099, 10007}) {
      const std::vector<double> x = random_doubles(dtype, count, 1);
      double expected = 0;
      for (const double v : x) expected += v * v;
      const double aligned = squared_norm(dtype, x, kAligned, NAN, false);
      // Two sums, each of which rounds as often as it has terms.
      EXPECT_NEAR(aligned, expected, 0x1p-52 * static_cast<double>(count) * expected) << count;
      EXPECT_EQ(squared_norm(dtype, x, kMisaligned, NAN, false), aligned) << "the order changed";
      EXPECT_EQ(squared_norm(dtype, x, kAligned, 3, true), 3 + aligned);
    }
  });
  EXPECT_EQ(squared_norm(DType::f32, {0x1p100, 1}, kAligned, 0, false), 0x1p200);
  EXPECT_EQ(squared_norm(DType::f16, {1, HUGE_VAL}, kAligned, 0, false), HUGE_VAL);
}

GPU_CASE(ClipFactorKernel, FollowsPyTorch) {
  const auto clip = [](double squared, double max_norm) {
    StepState host;
    host.gradient_factor = -0.5f;
    const DeviceValues<StepState> state({host});
    const DeviceValues<double> norm({squared});
    run_on_device(ClipFactor{norm.data(), max_norm, state.data()});
    return state.values()[0];
  };
  EXPECT_EQ(clip(400, 1).clip_factor, static_cast<float>(1.0 / (10 + 1e-6)));
  EXPECT_EQ(clip(400, 1).found_inf, 0);
  EXPECT_EQ(clip(400, 11).clip_factor, 1);
  for (const double bad : {double{NAN}, HUGE_VAL}) {
    EXPECT_EQ(clip(bad, 1).found_inf, 1);
    EXPECT_EQ(clip(bad, 1).clip_factor, 1) << "is left as it was";
  }
}

GPU_CASE(ClipFactorKernel, AddsPartsInTheirOrder) {
  const auto norm = [](const std::vector<double>& squares, std::int64_t parts) {
    const DeviceValues<StepState> state({StepState{}});
    const DeviceValues<double> each(squares);
    run_on_device(ClipFactor{each.data(), 1, state.data(), parts});
    return state.values()[0].clip_factor;
  };
  EXPECT_EQ(norm({16, 9, 11}, 2), static_cast<float>(1 / (5 + 1e-6)));
  EXPECT_EQ(norm({16, 9, 11}, 3), static_cast<float>(1 / (6 + 1e-6)));
  EXPECT_EQ(norm({0x1p1000, -0x1p1000, 4}, 3), static_cast<float>(1 / (2 + 1e-6)));
}

GPU_CASE(AgreeOnFiniteKernel, OneRankIsEnoughAndTheLowestParameterIsNamed) {
  const auto agreed = [](const std::vector<std::int32_t>& each, StepState before = {}) {
    const DeviceValues<std::int32_t> values(each);
    const DeviceValues<StepState> state({before});
    run_on_device(
        AgreeOnFinite{static_cast<std::int64_t>(each.size()) / 2, values.data(), state.data()});
    const StepState after = state.values()[0];
    return std::pair(after.found_inf, after.first_bad);
  };
  using Pair = std::pair<std::int32_t, std::int32_t>;
  EXPECT_EQ(agreed({0, kNoParameter, 0, kNoParameter}), Pair(0, kNoParameter));
  EXPECT_EQ(agreed({0, kNoParameter, 1, 7, 0, kNoParameter}), Pair(1, 7));
  EXPECT_EQ(agreed({1, 9, 1, 7, 1, 8}), Pair(1, 7));
  EXPECT_EQ(agreed({0, kNoParameter, 0, kNoParameter, 1, 0}), Pair(1, 0));
  StepState before;
  before.found_inf = 1, before.first_bad = 3;
  EXPECT_EQ(agreed({0, kNoParameter, 1, 7}, before), Pair(1, 3)) << "is never cleared";
}

}  // namespace
}  // namespace convoy::testing
