// SPDX-License-Identifier: MIT
// Figures and logits of an evaluation against loops over the samples: on sim with copies and
// kernels at any time that the streams allow.
#include "apps/trainer/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/layers.h"
#include "nn/parameter_store.h"
#include "runtime/ops.h"
#include "tests/data/numbered.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::apps {
namespace {

using data::testing::Numbered;

constexpr Device kSim{DeviceType::sim, 0};
constexpr std::int64_t kSamples = 23, kRows = 4;  // the last batch has three
constexpr std::size_t kTold = 7;                  // classes
constexpr float kStd = 0.02f;                     // pixels are small

struct Linear {
  std::vector<float> weight, bias;  // [classes, pixels], [classes]
};

// The sum in double, as a model of one layer has it.
std::vector<double> logits_of(const Linear& layer, const data::Dataset& dataset) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const data::Sample sample = dataset.get(i);
    for (std::size_t k = 0; k < kTold; ++k) {
      double sum = layer.bias[k];
      const std::size_t count = sample.image.pixels.size();
      for (std::size_t p = 0; p < count; ++p) {
        sum +=
            layer.weight[k * count + p] * static_cast<double>(sample.image.pixels[p]) / 255 / kStd;
      }
      all.push_back(sum);
    }
  }
  return all;
}

EvalResult figures_of(const std::vector<double>& logits, const data::Dataset& dataset) {
  EvalResult expected{.count = kSamples};
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const double* row = &logits[static_cast<std::size_t>(i) * kTold];
    const double own = row[dataset.label(i)];
    const auto better = std::count_if(row, row + kTold, [&](double v) { return v > own; });
    expected.correct += better < 1;
    expected.correct5 += better < 5;
    double sum = 0;
    for (std::size_t k = 0; k < kTold; ++k) sum += std::exp(row[k] - own);
    expected.loss_sum += std::log(sum);
  }
  return expected;
}

void expect_right(const Device& device, int workers) {
  const auto dataset = std::make_shared<Numbered>(kSamples);
  const data::ImageExtent extent = dataset->extent();
  nn::Sequential model;
  model.push<nn::Flatten>();
  const auto& layer = model.push<nn::Linear>(extent.count(), kTold);
  nn::initialize(model, 3);
  nn::ParameterStore store(model, device);
  data::Loader loader(dataset, {.batch_size = kRows, .workers = workers, .device = device});
  std::vector<float> logits;
  const EvalResult found = evaluate(
      model, loader, {{.extent = extent, .mean = {0}, .std = {kStd}}, device}, {.logits = &logits});
  const std::vector<double> expected =
      logits_of({to_vector<float>(layer.weight()), to_vector<float>(layer.bias())}, *dataset);
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-5) << i;
  const EvalResult right = figures_of(expected, *dataset);
  EXPECT_EQ(found.count, right.count);
  EXPECT_EQ(found.correct, right.correct);
  EXPECT_EQ(found.correct5, right.correct5);
  EXPECT_NEAR(found.loss_sum, right.loss_sum, 1e-4);
}

TEST(Evaluate, CountsEachSampleOnce) { expect_right({}, 0); }

TEST(Evaluate, CountsTheSameWhateverComesLate) {
  testing::over_modes([](const std::string& mode) {
    SCOPED_TRACE(mode);
    expect_right(kSim, 1);
  });
}

}  // namespace
}  // namespace convoy::apps
