// SPDX-License-Identifier: MIT
// Training on the simulator: the hand-written kernels together, against the cpu's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "kernels/sim/options.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "nn/optimizer.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"
#include "tests/support/gpu_device.h"

namespace convoy::nn {
namespace {

const Device kSim = ::convoy::testing::gpu_device();
constexpr std::int64_t kRows = 16, kSize = 28;
constexpr int kSteps = 10;

struct Outcome {
  std::vector<double> losses;
  std::vector<std::vector<float>> weights;  // after each step
};

// Called with the flat gradients of each step, before the optimizer's.
using TouchGradients = std::function<void(const Tensor& gradients)>;

// Noise, with a brighter quarter that tells the class.
std::pair<Tensor, Tensor> batch(std::uint32_t seed) {
  auto pixels = testing::random_values<float>(kRows * kSize * kSize, seed);
  std::vector<std::int64_t> classes;
  for (std::int64_t n = 0; n < kRows; ++n) {
    const std::int64_t label = (n * 7 + seed) % 4;
    classes.push_back(label);
    for (std::int64_t i = 0; i < kSize / 2; ++i) {
      for (std::int64_t j = 0; j < kSize / 2; ++j) {
        const std::int64_t y = i + (label / 2) * kSize / 2, x = j + (label % 2) * kSize / 2;
        pixels[static_cast<std::size_t>((n * kSize + y) * kSize + x)] += 0.5f;
      }
    }
  }
  return {from_vector(pixels, {kRows, kSize, kSize, 1}), from_vector(classes, {kRows})};
}

std::vector<float> all_weights(const ParameterStore& store) {
  std::vector<float> result;
  for (const ParameterGroup& group : store.groups()) {
    const std::vector<float> values = to_vector<float>(group.values);
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

Outcome train(const Device& device, const TouchGradients& touch = {}) {
  const auto model = create_model("lenet5", {.num_classes = 4});
  initialize(*model, 1);
  ParameterStore store(*model, device);
  Optimizer optimizer(store, {.kind = OptimizerKind::sgd, .weight_decay = 1e-4});
  optimizer.set_steps(0);
  Outcome outcome;
  for (int step = 0; step < kSteps; ++step) {
    const auto [x, y] = batch(static_cast<std::uint32_t>(step));
    optimizer.begin_step(0.05);
    const Tensor loss = cross_entropy(model->forward(x.to(device)), y.to(device), {});
    loss.backward();
    store.finish_gradients();
    if (touch) {
      for (const ParameterGroup& group : store.groups()) touch(group.gradients);
    }
    optimizer.step();
    outcome.losses.push_back(loss.item());
    outcome.weights.push_back(all_weights(store));
  }
  return outcome;
}

// What rounding may do to a gradient: the longest sum behind one, a filter's of the first layer,
// has one term per output pixel and row, and so many roundings add up like independent errors.
// Small elements are sums of terms as large as those of the others.
TouchGradients rounding_errors(std::uint32_t seed) {
  return [engine = std::mt19937(seed)](const Tensor& gradients) mutable {
    const double roundoff = 0x1p-24 * std::sqrt(static_cast<double>(kRows * kSize * kSize));
    float* g = gradients.as<float>();
    double squares = 0;
    for (std::int64_t i = 0; i < gradients.count(); ++i) squares += double{g[i]} * g[i];
    const double typical = std::sqrt(squares / static_cast<double>(gradients.count()));
    for (std::int64_t i = 0; i < gradients.count(); ++i) {
      if (g[i] == 0) continue;  // padding
      const double error = roundoff * (std::abs(double{g[i]}) + typical);
      g[i] = static_cast<float>(g[i] + (engine() % 2 == 0 ? error : -error));
    }
  };
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  }
  return largest;
}

// The bound is computed: how far runs on the cpu drift whose gradients were given the rounding
// errors of one other order of summation.
TEST(SimTraining, TenStepsOfLenetAgreeWithTheCpu) {
  const Outcome cpu = train(Device{}), sim = train(kSim);
  std::vector<double> drift(kSteps, 0), loss_drift(kSteps, 0);
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    const Outcome moved = train(Device{}, rounding_errors(seed));
    for (std::size_t s = 0; s < kSteps; ++s) {
      drift[s] = std::max(drift[s], largest_difference(cpu.weights[s], moved.weights[s]));
      loss_drift[s] = std::max(loss_drift[s], std::abs(cpu.losses[s] - moved.losses[s]));
    }
  }
  for (std::size_t s = 0; s < kSteps; ++s) {
    EXPECT_LE(largest_difference(cpu.weights[s], sim.weights[s]), 4 * drift[s]) << "step " << s;
    EXPECT_NEAR(sim.losses[s], cpu.losses[s], 4 * loss_drift[s] + 0x1p-20 * cpu.losses[s])
        << "step " << s;
  }
  EXPECT_LT(sim.losses.back(), sim.losses.front());
}

// The same bits twice, and whatever the order of warps and of asynchronous work.
TEST(SimTraining, RepeatsBitByBitUnderEverySchedule) {
  const Outcome first = train(kSim);
  for (const sim::Options& options :
       {sim::Options{}, sim::Options{.schedule = sim::Schedule::descending},
        sim::Options{.async = sim::Async::late},
        sim::Options{sim::Schedule::seeded, sim::Async::seeded, 7}}) {
    sim::options() = options;
    const Outcome again = train(kSim);
    sim::options() = {};
    EXPECT_EQ(again.losses, first.losses);
    EXPECT_EQ(again.weights, first.weights);
  }
}

}  // namespace
}  // namespace convoy::nn
