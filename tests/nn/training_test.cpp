// SPDX-License-Identifier: MIT
// The parts together: a network learns, twice the same bits, and inference holds little memory.
#include <gtest/gtest.h>

#include "nn/layers.h"
#include "nn/models.h"
#include "nn/optimizer.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"

namespace convoy::nn {
namespace {

// Noise, with a brighter quarter that tells the class.
std::pair<Tensor, Tensor> batch(std::uint32_t seed) {
  constexpr std::int64_t kRows = 16, kSize = 28;
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

struct Outcome {
  std::vector<double> losses;
  std::vector<float> weights;
};

Outcome train(std::uint64_t seed, int steps) {
  const auto model = create_model("lenet5", {.num_classes = 4, .drop = 0.1});
  initialize(*model, seed);
  ParameterStore store(*model);
  Optimizer optimizer(store, {.kind = OptimizerKind::sgd, .weight_decay = 1e-4});
  optimizer.set_steps(0);
  Outcome outcome;
  for (int step = 0; step < steps; ++step) {
    const auto [x, y] = batch(static_cast<std::uint32_t>(step));
    optimizer.begin_step(0.02);
    const Tensor loss = cross_entropy(model->forward(x), y, {.label_smoothing = 0.05});
    loss.backward();
    clip_grad_norm(store, 5);
    optimizer.step();
    outcome.losses.push_back(loss.item());
  }
  outcome.weights = to_vector<float>(store.groups()[0].values);
  return outcome;
}

TEST(Training, LenetLearnsAndRepeatsBitExactly) {
  const Outcome first = train(1, 60), second = train(1, 60), other = train(2, 2);
  EXPECT_NEAR(first.losses[0], 1.386, 0.15);  // log 4: it knows nothing yet
  double last = 0;
  for (std::size_t i = 50; i < 60; ++i) last += first.losses[i] / 10;
  EXPECT_LT(last, 0.6);
  EXPECT_EQ(first.losses, second.losses);
  EXPECT_EQ(first.weights, second.weights);
  EXPECT_NE(first.losses[1], other.losses[1]);
}

// Two half batches with a factor of 1/2 give the gradients of the whole.
TEST(Training, AccumulatedGradientsEqualThoseOfTheWholeBatch) {
  const auto gradients = [](bool halves) {
    Sequential model;
    model.push<Flatten>();
    model.push<Linear>(28 * 28, 4);
    initialize(model, 1);
    ParameterStore store(model);
    Optimizer optimizer(store, {});
    const auto [x, y] = batch(1);
    optimizer.begin_step(0.1);
    for (std::int64_t part = 0; part < (halves ? 2 : 1); ++part) {
      const std::int64_t rows = halves ? 8 : 16;
      const Tensor logits = model(slice(x, 0, part * rows, (part + 1) * rows));
      cross_entropy(logits, slice(y, 0, part * rows, (part + 1) * rows)).backward();
    }
    return to_vector<float>(store.groups()[0].gradients);
  };
  const auto whole = gradients(false), halves = gradients(true);
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], halves[i] / 2, 1e-6) << i;
}

TEST(Training, InferenceHoldsLessThanAQuarterOfTheActivations) {
  const auto model = create_model("resnet18", {.num_classes = 10});
  initialize(*model, 1);
  const Tensor x = zeros({32, 64, 64, 3});
  Allocator& memory = allocator(x.device());
  const auto peak_of = [&](auto&& f) {
    const std::size_t before = memory.stats().live_bytes;
    memory.reset_peak();
    f();
    return memory.stats().peak_bytes - before;
  };
  const std::size_t training = peak_of([&] { model->forward(x); });
  model->eval();
  const std::size_t inference = peak_of([&] {
    const NoGrad guard;
    model->forward(x);
  });
  EXPECT_LT(inference * 4, training) << inference << " of " << training << " bytes";
}

}  // namespace
}  // namespace convoy::nn
