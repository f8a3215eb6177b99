// SPDX-License-Identifier: MIT
#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/optimizer.h"

namespace convoy {
namespace {

constexpr std::int64_t kCounts[] = {0, 1, 7, 1009, 40009};
constexpr int kSteps = 4;

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;

// A step's values: learning rate of group 2, and gradients that come in 8 times too large and are
// clipped to a half.
StepState state_of(int step) {
  StepState state;
  state.updates = step;
  state.learning_rate[2] = 0.05f / static_cast<float>(step + 1);
  state.gradient_factor = 0.125f;
  state.clip_factor = 0.5f;
  return state;
}

template <class T>
std::vector<T> gradients(std::int64_t count, int step) {
  return testing::random_values<T>(count, static_cast<std::uint32_t>(10 + step));
}

// Runs `launch(step state, parameter, gradient)` for a few steps beside a reference per element.
template <class T, class Reference, class Launch>
void check(std::int64_t count, const Reference& start, Launch launch, const char* what) {
  std::vector<T> p = testing::random_values<T>(count, 1);
  std::vector<double> expected = testing::to_double(p);
  std::vector<Reference> reference(p.size(), start);
  for (int step = 0; step < kSteps; ++step) {
    const StepState state = state_of(step);
    const std::vector<T> g = gradients<T>(count, step);
    launch(state, p, g);
    for (std::size_t i = 0; i < p.size(); ++i) {
      expected[i] = reference[i].step(expected[i], g[i] * 0.0625, double{state.learning_rate[2]});
    }
  }
  testing::expect_close(p, expected, {.k = kSteps}, what);
}

template <class T>
void check_sgd(const SgdOptions& options) {
  for (const std::int64_t count : kCounts) {
    std::vector<T> momentum(static_cast<std::size_t>(count));
    T* const buffer = options.momentum == 0 ? nullptr : momentum.data();
    check<T>(
        count, reference::Sgd{options},
        [&](const StepState& state, auto& p, const auto& g) {
          run(SgdStep{count, p.data(), g.data(), buffer, &state, 2, kDType<T>, options}, {},
              nullptr, {});
        },
        "sgd");
  }
}

TEST(SgdStep, AgreesWithTheFormula) {
  for (const SgdOptions& options :
       {SgdOptions{}, SgdOptions{.momentum = 0.9}, SgdOptions{.momentum = 0.9, .weight_decay = 0.1},
        SgdOptions{.momentum = 0.8, .weight_decay = 0.1, .nesterov = true},
        SgdOptions{.weight_decay = 0.2}}) {
    check_sgd<float>(options);
    check_sgd<double>(options);
  }
}

template <class T>
void check_adam(const AdamOptions& options) {
  for (const std::int64_t count : kCounts) {
    std::vector<T> m(static_cast<std::size_t>(count)), v = m;
    check<T>(
        count, reference::Adam{options},
        [&](const StepState& state, auto& p, const auto& g) {
          run(AdamWStep{count, p.data(), g.data(), m.data(), v.data(), &state, 2, kDType<T>,
                        options},
              {}, nullptr, {});
        },
        "adam");
  }
}

TEST(AdamWStep, AgreesWithTheFormula) {
  for (const AdamOptions& options :
       {AdamOptions{}, AdamOptions{.weight_decay = 0.3}, AdamOptions{.beta1 = 0.5, .beta2 = 0.9},
        AdamOptions{.eps = 1e-3, .weight_decay = 0.3, .decoupled = false}}) {
    check_adam<float>(options);
    check_adam<double>(options);
  }
}

template <class T>
void check_rmsprop(const RmspropOptions& options, bool centered) {
  for (const std::int64_t count : kCounts) {
    std::vector<T> square(static_cast<std::size_t>(count)), momentum = square, average = square;
    check<T>(
        count, reference::Rmsprop{options, centered},
        [&](const StepState& state, auto& p, const auto& g) {
          run(RmspropStep{count, p.data(), g.data(), square.data(),
                          options.momentum == 0 ? nullptr : momentum.data(),
                          centered ? average.data() : nullptr, &state, 2, kDType<T>, options},
              {}, nullptr, {});
        },
        "rmsprop");
  }
}

TEST(RmspropStep, AgreesWithTheFormula) {
  // A large eps: where a gradient is near 0, g / sqrt(g^2) has no accurate value.
  for (const RmspropOptions& options :
       {RmspropOptions{.eps = 0.01}, RmspropOptions{.alpha = 0.9, .eps = 0.01, .momentum = 0.9},
        RmspropOptions{.eps = 0.01, .weight_decay = 0.2, .momentum = 0.5}}) {
    for (const bool centered : {false, true}) {
      check_rmsprop<float>(options, centered);
      check_rmsprop<double>(options, centered);
    }
  }
}

TEST(LarsStep, ScalesEachParameterByItsOwnRatio) {
  const ParameterSlice slices[] = {{0, 7}, {16, 1000}, {1024, 3}, {1028, 0}};
  for (const bool nesterov : {false, true}) {
    const LarsOptions options{
        .momentum = 0.9, .weight_decay = 0.1, .trust_coefficient = 0.02, .nesterov = nesterov};
    std::vector<double> p = testing::random_values<double>(1030, 1), expected = p;
    std::fill(p.begin() + 1024, p.begin() + 1027, 0.0);  // norm 0: the ratio is 1
    std::copy(p.begin(), p.end(), expected.begin());
    std::vector<double> momentum(1030), ratio;
    std::vector<reference::Sgd> reference(1030,
                                          reference::Sgd{{.momentum = 0.9, .nesterov = nesterov}});
    for (int step = 0; step < 3; ++step) {
      const StepState state = state_of(step);
      const auto g = gradients<double>(1030, step);
      run(LarsStep{slices, 4, p.data(), g.data(), momentum.data(), &state, 2, DType::f64, options},
          {}, nullptr, {});
      for (const auto& [begin, count] : slices) {
        double pp = 0, gg = 0;
        for (std::int64_t i = begin; i < begin + count; ++i) {
          const auto k = static_cast<std::size_t>(i);
          pp += expected[k] * expected[k];
          gg += g[k] * g[k] * 0.0625 * 0.0625;
        }
        const double r = pp > 0 && gg > 0
                             ? 0.02 * std::sqrt(pp) / (std::sqrt(gg) + 0.1 * std::sqrt(pp) + 1e-8)
                             : 1;
        for (std::int64_t i = begin; i < begin + count; ++i) {
          const auto k = static_cast<std::size_t>(i);
          expected[k] = reference[k].step(expected[k], (g[k] * 0.0625 + 0.1 * expected[k]) * r,
                                          double{state.learning_rate[2]});
        }
      }
    }
    testing::expect_close(p, expected, {.k = 1000}, "lars");
    EXPECT_EQ(p[10], (testing::random_values<double>(1030, 1)[10])) << "outside of the slices";
  }
}

TEST(LarsStep, WithoutWeightDecayItIsSgd) {
  const ParameterSlice slice{0, 33};
  const StepState state = state_of(0);
  std::vector<float> p = testing::random_values<float>(33, 1), q = p, m(33), n(33);
  const std::vector<float> g = gradients<float>(33, 0);
  run(LarsStep{&slice, 1, p.data(), g.data(), m.data(), &state, 2, DType::f32}, {}, nullptr, {});
  run(SgdStep{33, q.data(), g.data(), n.data(), &state, 2, DType::f32, {.momentum = 0.9}}, {},
      nullptr, {});
  testing::expect_close(p, testing::to_double(q), {}, "lars without decay");
}

TEST(EmaStep, Averages) {
  StepState state;
  state.ema_decay = 0.75f;
  std::vector<float> average(1009, 2.0f), p(1009, 4.0f);
  run(EmaStep{1009, average.data(), p.data(), &state, DType::f32}, {}, nullptr, {});
  EXPECT_EQ(average, std::vector<float>(1009, 2.5f));
}

TEST(Optimizer, AnOverflowLeavesEverythingAsItIs) {
  StepState state = state_of(0);
  state.found_inf = 1;
  const ParameterSlice slice{0, 3};
  const std::vector<float> start = {1, 2, 3}, g = {NAN, INFINITY, 1};
  std::vector<float> p = start, a = start, b = start, c = start;
  const auto f32 = DType::f32;
  run(SgdStep{3, p.data(), g.data(), a.data(), &state, 2, f32, {.momentum = 0.9}}, {}, nullptr, {});
  run(AdamWStep{3, p.data(), g.data(), a.data(), b.data(), &state, 2, f32}, {}, nullptr, {});
  run(RmspropStep{3, p.data(), g.data(), a.data(), b.data(), c.data(), &state, 2, f32}, {}, nullptr,
      {});
  run(LarsStep{&slice, 1, p.data(), g.data(), a.data(), &state, 2, f32}, {}, nullptr, {});
  run(EmaStep{3, a.data(), g.data(), &state, f32}, {}, nullptr, {});
  EXPECT_EQ(p, start);
  EXPECT_EQ(a, start);
  EXPECT_EQ(b, start);
  EXPECT_EQ(c, start);
}

TEST(CheckFinite, FindsOneBadValueAnywhere) {
  for (const std::int64_t count : {1, 9, 40009}) {
    std::vector<float> x = testing::random_values<float>(count, 1);
    x[0] = std::numeric_limits<float>::max();
    StepState state;
    run(CheckFinite{count, x.data(), &state, DType::f32}, {}, nullptr, {});
    EXPECT_EQ(state.found_inf, 0);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> y = x;
      y[static_cast<std::size_t>(count) * 3 / 4] = bad;
      state.found_inf = 0;
      run(CheckFinite{count, y.data(), &state, DType::f32}, {}, nullptr, {});
      EXPECT_EQ(state.found_inf, 1) << bad;
    }
    run(CheckFinite{count, x.data(), &state, DType::f32}, {}, nullptr, {});
    EXPECT_EQ(state.found_inf, 1) << "must not be cleared";
  }
}

template <class T>
void check_norm() {
  for (const std::int64_t count : kCounts) {
    const std::vector<T> x = testing::random_values<T>(count, 1);
    double expected = 0, y = NAN;
    for (const T v : x) expected += static_cast<double>(v) * v;
    SquaredNorm op{count, x.data(), &y, kDType<T>};
    const Plan how = plan(op, Device{});
    std::vector<double> workspace(how.workspace_bytes / sizeof(double));
    run(op, how, workspace.data(), {});
    EXPECT_NEAR(y, expected, 1e-12 * expected) << count;
    op.accumulate = true;
    run(op, how, workspace.data(), {});
    EXPECT_NEAR(y, 2 * expected, 1e-12 * expected) << count;
  }
}

TEST(SquaredNorm, AgreesWithTheDefinition) {
  check_norm<float>();
  check_norm<double>();
}

TEST(ClipFactor, FollowsPyTorch) {
  StepState state;
  state.gradient_factor = 0.5f;
  double squared = 400;  // norm 20, after the factor 10
  run(ClipFactor{&squared, 1.0, &state}, {}, nullptr, {});
  EXPECT_FLOAT_EQ(state.clip_factor, static_cast<float>(1.0 / (10 + 1e-6)));
  run(ClipFactor{&squared, 11.0, &state}, {}, nullptr, {});
  EXPECT_EQ(state.clip_factor, 1);
  EXPECT_EQ(state.found_inf, 0);
  squared = INFINITY;
  run(ClipFactor{&squared, 1.0, &state}, {}, nullptr, {});
  EXPECT_EQ(state.found_inf, 1);
}

TEST(ClipFactor, AddsPartsInTheirOrder) {
  StepState state;
  const double parts[] = {0x1p1000, -0x1p1000, 4};
  run(ClipFactor{parts, 1.0, &state, 3}, {}, nullptr, {});
  EXPECT_EQ(state.gradient_norm, 2);
  EXPECT_EQ(state.clip_factor, static_cast<float>(1 / (2 + 1e-6)));
}

TEST(AgreeOnFinite, OneRankIsEnoughAndTheLowestParameterIsNamed) {
  StepState state;
  const std::int32_t fine[] = {0, kNoParameter, 0, kNoParameter};
  run(AgreeOnFinite{2, fine, &state}, {}, nullptr, {});
  EXPECT_EQ(state.found_inf, 0);
  EXPECT_EQ(state.first_bad, kNoParameter);
  const std::int32_t bad[] = {0, kNoParameter, 1, 9, 1, 7};
  run(AgreeOnFinite{3, bad, &state}, {}, nullptr, {});
  EXPECT_EQ(state.found_inf, 1);
  EXPECT_EQ(state.first_bad, 7);
  run(AgreeOnFinite{2, fine, &state}, {}, nullptr, {});
  EXPECT_EQ(state.found_inf, 1) << "is never cleared";
}

TEST(ScaleGradients, AppliesBothFactors) {
  const StepState state = state_of(0);
  std::vector<double> g(1009, 16);
  run(ScaleGradients{1009, g.data(), &state, DType::f64}, {}, nullptr, {});
  EXPECT_EQ(g, std::vector<double>(1009, 1));
}

}  // namespace
}  // namespace convoy
