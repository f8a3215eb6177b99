// SPDX-License-Identifier: MIT
#include "kernels/optimizer.h"

#include <cmath>
#include <optional>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/optimizer.h"

namespace convoy::testing {
namespace {

// Learning rate of group 2, and gradients that come in 8 times too large and are clipped to a half.
StepState state_of(std::int64_t step) {
  StepState state;
  state.updates = step;
  state.learning_rate[2] = 0.05f;
  state.gradient_factor = 0.125f;
  state.clip_factor = 0.5f;
  return state;
}
constexpr double kFactor = 0.0625;

// A parameter, its gradient and up to three arrays of state, on the device and as they were.
struct Arrays {
  Arrays(DType dtype, std::int64_t count, std::int64_t shift)
      : p0(random_doubles(dtype, count, 1)),
        g0(random_doubles(dtype, count, 2)),
        a0(random_doubles(dtype, count, 3)),
        b0(random_doubles(dtype, count, 4)),
        c0(random_doubles(dtype, count, 5)) {
    for (double& v : b0) v = v * v + 0.25;  // a mean square that is no less than c0's square / 4
    for (double& v : c0) v /= 4;
    b0 = rounded(dtype, b0);
    c0 = rounded(dtype, c0);
    p.emplace(dtype, p0, shift);
    g.emplace(dtype, g0, shift);
    a.emplace(dtype, a0, shift);
    b.emplace(dtype, b0, shift);
    c.emplace(dtype, c0, shift);
  }
  std::vector<double> p0, g0, a0, b0, c0;
  std::optional<FencedArray> p, g, a, b, c;
};

// Calls check(dtype, count, shift) over dtypes, and for one over sizes and alignments too.
template <class Check>
void over_sizes(Check check) {
  for_each_dtype([&](DType dtype) {
    check(dtype, 257, kAligned);
    check(dtype, 33, kMisaligned);
  });
  for (const std::int64_t count : {0, 1, 7, 8, 9, 255, 256, 1000}) {
    check(DType::f16, count, kAligned);
  }
}

GPU_CASE(SgdKernel, AgreesWithTheFormula) {
  const SgdOptions kOptions[] = {{},
                                 {.momentum = 0.9},
                                 {.momentum = 0.9, .weight_decay = 0.1},
                                 {.momentum = 0.8, .weight_decay = 0.1, .nesterov = true},
                                 {.weight_decay = 0.2}};
  for (const SgdOptions& o : kOptions) {
    over_sizes([&](DType dtype, std::int64_t count, std::int64_t shift) {
      const Arrays x(dtype, count, shift);
      const DeviceValues<StepState> state({state_of(7)});
      run_on_device(SgdStep{count, x.p->data(), x.g->data(),
                            o.momentum == 0 ? nullptr : x.a->data(), state.data(), 2, dtype, o});
      std::vector<double> p, b;
      for (std::size_t i = 0; i < x.p0.size(); ++i) {
        reference::Sgd sgd{.o = o, .b = x.a0[i], .first = false};
        p.push_back(sgd.step(x.p0[i], x.g0[i] * kFactor, double{0.05f}));
        b.push_back(sgd.b);
      }
      expect_close(*x.p, p, {}, "parameter");
      expect_close(*x.a, b, {}, "momentum");
    });
  }
}

GPU_CASE(AdamWKernel, AgreesWithTheFormula) {
  const AdamOptions kOptions[] = {{},
                                  {.weight_decay = 0.3},
                                  {.beta1 = 0.5, .beta2 = 0.9},
                                  {.beta1 = 0, .beta2 = 0.99, .eps = 1e-3},
                                  {.eps = 1e-3, .weight_decay = 0.3, .decoupled = false}};
  for (const AdamOptions& o : kOptions) {
    for (const std::int64_t step : {0, 1, 100, 10'000'000}) {
      over_sizes([&](DType dtype, std::int64_t count, std::int64_t shift) {
        if (step > 0 && count > 257) return;
        const Arrays x(dtype, count, shift);
        const DeviceValues<StepState> state({state_of(step)});
        run_on_device(AdamWStep{count, x.p->data(), x.g->data(), x.a->data(), x.b->data(),
                                state.data(), 2, dtype, o});
        std::vector<double> p, m, v;
        for (std::size_t i = 0; i < x.p0.size(); ++i) {
          reference::Adam adam{o, x.a0[i], x.b0[i], static_cast<int>(step)};
          p.push_back(adam.step(x.p0[i], x.g0[i] * kFactor, double{0.05f}));
          m.push_back(adam.m);
          v.push_back(adam.v);
        }
        expect_close(*x.p, p, {}, "parameter");
        expect_close(*x.a, m, {}, "exp_avg");
        expect_close(*x.b, v, {}, "exp_avg_sq");
      });
    }
  }
}

GPU_CASE(RmspropKernel, AgreesWithTheFormula) {
  const RmspropOptions kOptions[] = {{.eps = 0.01},
                                     {.alpha = 0.9, .eps = 0.01, .momentum = 0.9},
                                     {.weight_decay = 0.2, .momentum = 0.5}};
  for (const RmspropOptions& o : kOptions) {
    for (const bool centered : {false, true}) {
      over_sizes([&](DType dtype, std::int64_t count, std::int64_t shift) {
        const Arrays x(dtype, count, shift);
        const DeviceValues<StepState> state({state_of(7)});
        run_on_device(RmspropStep{count, x.p->data(), x.g->data(), x.b->data(),
                                  o.momentum == 0 ? nullptr : x.a->data(),
                                  centered ? x.c->data() : nullptr, state.data(), 2, dtype, o});
        std::vector<double> p, square, average, momentum;
        for (std::size_t i = 0; i < x.p0.size(); ++i) {
          reference::Rmsprop rmsprop{o, centered, x.b0[i], x.c0[i], x.a0[i]};
          p.push_back(rmsprop.step(x.p0[i], x.g0[i] * kFactor, double{0.05f}));
          square.push_back(rmsprop.v);
          average.push_back(rmsprop.average);
          momentum.push_back(rmsprop.b);
        }
        expect_close(*x.p, p, {}, "parameter");
        expect_close(*x.b, square, {}, "square_avg");
        expect_close(*x.c, average, {}, "grad_avg");
        expect_close(*x.a, momentum, {}, "momentum");
      });
    }
  }
}

GPU_CASE(RmspropKernel, AVarianceBelowZeroIsZero) {
  // alpha 1 keeps both averages: 0.25 - 1 would have no root.
  const auto one = [](double v) { return FencedArray(DType::f32, std::vector<double>{v}); };
  const FencedArray p = one(3), g = one(1), square = one(0.25), average = one(1);
  const DeviceValues<StepState> state({state_of(0)});
  run_on_device(RmspropStep{1,
                            p.data(),
                            g.data(),
                            square.data(),
                            nullptr,
                            average.data(),
                            state.data(),
                            2,
                            DType::f32,
                            {.alpha = 1, .eps = 0.5}});
  expect_close(p, {3 - double{0.05f} * kFactor / 0.5}, {}, "parameter");
}

GPU_CASE(EmaKernel, Averages) {
  over_sizes([](DType dtype, std::int64_t count, std::int64_t shift) {
    const Arrays x(dtype, count, shift);
    StepState host = state_of(0);
    host.ema_decay = 0.9f;
    const DeviceValues<StepState> state({host});
    run_on_device(EmaStep{count, x.a->data(), x.p->data(), state.data(), dtype});
    std::vector<double> average;
    for (std::size_t i = 0; i < x.p0.size(); ++i) {
      average.push_back(double{0.9f} * x.a0[i] + (1 - double{0.9f}) * x.p0[i]);
    }
    expect_close(*x.a, average, {}, "average");
  });
}

GPU_CASE(ScaleGradientsKernel, AppliesBothFactors) {
  over_sizes([](DType dtype, std::int64_t count, std::int64_t shift) {
    const Arrays x(dtype, count, shift);
    const DeviceValues<StepState> state({state_of(0)});
    run_on_device(ScaleGradients{count, x.g->data(), state.data(), dtype});
    std::vector<double> expected = x.g0;
    for (double& v : expected) v *= kFactor;
    expect_close(*x.g, expected, {}, "gradient");
  });
}

const std::vector<ParameterSlice> kSlices = {
    {0, 7}, {16, 2500}, {2560, 3}, {2564, 0}, {2565, 1025}};
constexpr std::int64_t kFlat = 3600;

// What two ranks have summed, whatever the slices hold, with another slice's in front.
const std::vector<double> kSquares{7, 7, 1, 2, 3, 4, 0, 0, 5, 0, 16, 9,
                                   7, 7, 3, 1, 1, 2, 0, 1, 0, 3, 20, 7};

// With `over_ranks` the norms are kSquares'.
void check_lars(DType dtype, const LarsOptions& o, bool over_ranks = false) {
  const Arrays x(dtype, kFlat, kAligned);
  std::vector<double> start = x.p0;
  std::fill(start.begin() + 2560, start.begin() + 2563, 0.0);  // norm 0: the ratio is 1
  const FencedArray parameter(dtype, start);
  const DeviceValues<StepState> state({state_of(3)});
  const DeviceValues<ParameterSlice> slices(kSlices);
  const DeviceValues<double> squares(kSquares);
  const SquaresOfRanks given =
      over_ranks ? SquaresOfRanks{squares.data() + 2, 2, 12} : SquaresOfRanks{};
  run_on_device(LarsStep{slices.data(),
                         std::ssize(kSlices),
                         parameter.data(),
                         x.g->data(),
                         x.a->data(),
                         state.data(),
                         2,
                         dtype,
                         o,
                         {},
                         given});
  std::vector<double> p = start, momentum = x.a0;
  for (std::size_t s = 0; s < kSlices.size(); ++s) {
    const auto [begin, count] = kSlices[s];
    double pp = 0, gg = 0;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      pp += start[static_cast<std::size_t>(i)] * start[static_cast<std::size_t>(i)];
      gg += std::pow(x.g0[static_cast<std::size_t>(i)] * kFactor, 2);
    }
    if (over_ranks) {
      pp = kSquares[2 + 2 * s] + kSquares[14 + 2 * s];
      gg = (kSquares[3 + 2 * s] + kSquares[15 + 2 * s]) * kFactor * kFactor;
    }
    const double ratio = o.weight_decay > 0 && pp > 0 && gg > 0
                             ? o.trust_coefficient * std::sqrt(pp) /
                                   (std::sqrt(gg) + o.weight_decay * std::sqrt(pp) + o.eps)
                             : 1;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      const auto k = static_cast<std::size_t>(i);
      reference::Sgd sgd{
          .o = {.momentum = o.momentum, .nesterov = o.nesterov}, .b = x.a0[k], .first = false};
      p[k] = sgd.step(start[k], (x.g0[k] * kFactor + o.weight_decay * start[k]) * ratio,
                      double{0.05f});
      momentum[k] = sgd.b;
    }
  }
  expect_close(parameter, p, {.scale = 2}, "parameter");
  expect_close(*x.a, momentum, {.scale = 2}, "momentum");
}

GPU_CASE(LarsKernel, ScalesEachParameterByItsOwnRatio) {
  for_each_dtype([](DType dtype) {
    check_lars(dtype, {.weight_decay = 0.1, .trust_coefficient = 0.5, .nesterov = true});
  });
  check_lars(DType::f32, {.weight_decay = 0.1, .trust_coefficient = 0.5, .eps = 0.5});
  check_lars(DType::f32, {.momentum = 0.5});  // without weight decay it is SGD
}

GPU_CASE(LarsKernel, TakesNormsThatRanksHaveSummed) {
  check_lars(DType::f32, {.weight_decay = 0.1, .trust_coefficient = 0.5, .eps = 0.5}, true);
}

GPU_CASE(LarsKernel, WithoutSlicesNothingIsDone) {
  run_on_device(LarsStep{nullptr, 0, nullptr, nullptr, nullptr, nullptr, 0, DType::f32});
}

// Whatever a compiler fuses: an element that is stepped in a pack here may be one by itself where
// memory, or a rank's part, begins elsewhere.
GPU_CASE(OptimizerKernels, PacksAndSingleElementsRoundAlike) {
  constexpr std::int64_t kCount = 1000;
  const DeviceValues<StepState> device({state_of(5)});
  const StepState* const state = device.data();
  const DeviceValues<ParameterSlice> slices({{0, kCount}});
  const DeviceValues<double> squares({4, 9});
  const auto f32 = DType::f32;
  const auto stepped = [&](std::int64_t shift) {
    std::vector<std::vector<double>> all;
    const auto each = [&](const auto& step) {
      const Arrays x(f32, kCount, shift);
      step(x.p->data(), x.g->data(), x.a->data(), x.b->data(), x.c->data());
      for (const auto* array : {&x.p, &x.a, &x.b, &x.c}) all.push_back((*array)->values());
    };
    each([&](void* p, void* g, void* a, void*, void*) {
      const SgdOptions o{.momentum = 0.9, .weight_decay = 0.1, .nesterov = true};
      run_on_device(SgdStep{kCount, p, g, a, state, 2, f32, o});
    });
    for (const bool decoupled : {true, false}) {
      each([&](void* p, void* g, void* a, void* b, void*) {
        const AdamOptions o{.weight_decay = 0.1, .decoupled = decoupled};
        run_on_device(AdamWStep{kCount, p, g, a, b, state, 2, f32, o});
      });
    }
    each([&](void* p, void* g, void* a, void* b, void* c) {
      const RmspropOptions o{.weight_decay = 0.1, .momentum = 0.5};
      run_on_device(RmspropStep{kCount, p, g, b, a, c, state, 2, f32, o});
    });
    each([&](void* p, void* g, void* a, void*, void*) {
      const LarsOptions o{.weight_decay = 0.1, .trust_coefficient = 0.5, .nesterov = true};
      run_on_device(
          LarsStep{slices.data(), 1, p, g, a, state, 2, f32, o, {}, {squares.data(), 1, 2}});
    });
    return all;
  };
  EXPECT_EQ(stepped(kAligned), stepped(kMisaligned));
}

GPU_CASE(OptimizerKernels, AnOverflowLeavesEverythingAsItIs) {
  StepState overflow = state_of(0);
  overflow.found_inf = 1;
  const DeviceValues<StepState> device({overflow});
  const StepState* const state = device.data();
  const DeviceValues<ParameterSlice> slices({{0, 9}});
  const Arrays x(DType::f32, 9, kAligned);
  const auto f32 = DType::f32;
  void *const p = x.p->data(), *const g = x.g->data();
  void *const a = x.a->data(), *const b = x.b->data(), *const c = x.c->data();
  run_on_device(SgdStep{9, p, g, a, state, 2, f32, {.momentum = 0.9}});
  run_on_device(AdamWStep{9, p, g, a, b, state, 2, f32});
  run_on_device(RmspropStep{9, p, g, b, a, c, state, 2, f32});
  run_on_device(LarsStep{slices.data(), 1, p, g, a, state, 2, f32});
  run_on_device(EmaStep{9, a, p, state, f32});
  expect_equal(*x.p, x.p0, "parameter");
  expect_equal(*x.a, x.a0, "momentum");
  expect_equal(*x.b, x.b0, "square");
  expect_equal(*x.c, x.c0, "average");
}

}  // namespace
}  // namespace convoy::testing
