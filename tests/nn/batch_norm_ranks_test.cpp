// SPDX-License-Identifier: MIT
#include "nn/batch_norm_ranks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/fusion.h"
#include "nn/init.h"
#include "nn/models.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"
#include "tests/support/replayed_ranks.h"

namespace convoy::nn {
namespace {

using testing::replay_ranks;

std::unique_ptr<Module> resnet() {
  auto model = create_model("resnet20", {.num_classes = 4, .in_channels = 3});
  initialize(*model, 7);
  return model;
}

// Gradients, then running statistics.
std::vector<std::vector<float>> after_a_step(Module& model, const Tensor& x,
                                             const Tensor& gradient) {
  model(x).backward(gradient);
  std::vector<std::vector<float>> all;
  for (const NamedTensor& p : model.parameters()) all.push_back(to_vector<float>(p.tensor.grad()));
  for (const NamedTensor& b : model.buffers()) all.push_back(to_vector<float>(b.tensor));
  return all;
}

// How far a network amplifies rounding is not known beforehand: it is measured on one rank, by
// changing the input in its last digits.
void expect_ranks_train_like_one(int world_size) {
  constexpr std::int64_t kRows = 7, kPixels = 12 * 12 * 3;
  const std::vector<float> images = testing::random_values<float>(kRows * kPixels, 1);
  const std::vector<float> gradients = testing::random_values<float>(kRows * 4, 2);
  const auto rows = [&](const std::vector<float>& from, std::int64_t each, std::int64_t begin,
                        std::int64_t end) {
    return std::vector<float>(from.begin() + begin * each, from.begin() + end * each);
  };
  const auto alone = [&](const std::vector<float>& x) {
    const auto model = resnet();
    return after_a_step(*model, from_vector(x, {kRows, 12, 12, 3}),
                        from_vector(gradients, {kRows, 4}));
  };
  const auto expected = alone(images);
  std::vector<float> moved = images;
  for (std::size_t i = 0; i < moved.size(); ++i) moved[i] *= 1 + (i % 2 ? 0x1p-20F : -0x1p-20F);
  const auto amplified = alone(moved);

  std::vector<std::vector<std::vector<float>>> found(static_cast<std::size_t>(world_size));
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    const std::int64_t begin = kRows * ranks->rank() / world_size;
    const std::int64_t end = kRows * (ranks->rank() + 1) / world_size;
    const auto model = resnet();
    synchronise_batch_norm(*model, ranks);
    found[static_cast<std::size_t>(ranks->rank())] = after_a_step(
        *model, from_vector(rows(images, kPixels, begin, end), {end - begin, 12, 12, 3}),
        from_vector(rows(gradients, 4, begin, end), {end - begin, 4}));
  });
  const auto model = resnet();
  const std::size_t parameters = model->parameters().size();
  for (std::size_t t = 0; t < expected.size(); ++t) {
    double largest = 0, noise = 0, error = 0;
    for (std::size_t i = 0; i < expected[t].size(); ++i) {
      double sum = 0;
      for (const auto& rank : found) sum += t < parameters ? rank[t][i] : 0;
      const double value = t < parameters ? sum : found[0][t][i];
      largest = std::max<double>(largest, std::abs(expected[t][i]));
      noise = std::max<double>(noise, std::abs(amplified[t][i] - expected[t][i]));
      error = std::max(error, std::abs(value - expected[t][i]));
    }
    EXPECT_LE(error, 4 * noise + 0x1p-18 * largest) << model->state()[t].name;
    EXPECT_LE(noise, 0x1p-6 * largest) << "a bound that says nothing";
  }
}

TEST(SynchronisedBatchNorm, RanksTrainResnet20LikeOne) {
  for (const int world_size : {2, 3}) expect_ranks_train_like_one(world_size);
}

TEST(SynchronisedBatchNorm, WithoutFusionToo) {
  set_fusion(false);
  expect_ranks_train_like_one(2);
  set_fusion(true);
}

TEST(RunningStatistics, AreTheRanksMeanOrTheFirstOnes) {
  for (const RunningStatistics which : {RunningStatistics::mean, RunningStatistics::of_first}) {
    std::vector<std::vector<float>> found(3);
    replay_ranks(3, [&](const std::shared_ptr<RankExchange>& ranks) {
      const auto model = resnet();
      double value = 0;
      for (const NamedTensor& b : model->buffers()) {
        Tensor(b.tensor).fill_(value + 3 * ranks->rank());
        ++value;
      }
      share_running_statistics(*model, *ranks, which);
      auto& all = found[static_cast<std::size_t>(ranks->rank())];
      for (const NamedTensor& b : model->buffers()) {
        const auto values = to_vector<float>(b.tensor);
        EXPECT_EQ(std::count(values.begin(), values.end(), values[0]), std::ssize(values));
        all.push_back(values[0]);
      }
    });
    for (std::size_t b = 0; b < found[0].size(); ++b) {
      const float expected = static_cast<float>(b) + (which == RunningStatistics::mean ? 3 : 0);
      for (const auto& rank : found) EXPECT_EQ(rank[b], expected);
    }
  }
}

TEST(RunningStatistics, OfSynchronisedNormsStayAsTheyAre) {
  replay_ranks(3, [&](const std::shared_ptr<RankExchange>& ranks) {
    const auto model = resnet();
    synchronise_batch_norm(*model, ranks);
    for (const NamedTensor& b : model->buffers())
      Tensor(b.tensor).fill_(0.1);  // 3 * 0.1 / 3 is not
    share_running_statistics(*model, *ranks, RunningStatistics::mean);
    for (const NamedTensor& b : model->buffers()) EXPECT_EQ(to_vector<float>(b.tensor)[0], 0.1F);
  });
}

TEST(RunningStatistics, AModelWithoutBatchNormHasNone) {
  const auto model = create_model("lenet5", {.num_classes = 4, .in_channels = 1});
  replay_ranks(2, [&](const std::shared_ptr<RankExchange>& ranks) {
    share_running_statistics(*model, *ranks, RunningStatistics::mean);
  });
}

}  // namespace
}  // namespace convoy::nn
