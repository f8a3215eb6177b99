// SPDX-License-Identifier: MIT
// Batches on their way from the loader's slots to the device: on sim a copy that comes too late, or
// a slot that is given back too early, is seen in the pictures.
#include "apps/trainer/input.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops.h"
#include "tests/data/numbered.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::apps {
namespace {

using data::testing::Numbered;

constexpr Device kSim{DeviceType::sim, 0};
constexpr std::int64_t kRows = 3, kSamples = 24;

std::vector<long> levels_of(const Tensor& pixels) {
  std::vector<long> levels;
  for (const float value : to_vector<float>(pixels)) levels.push_back(std::lround(255 * value));
  return levels;
}

// What a step would read of each batch of two epochs: pictures, as they are shifted, and labels.
std::vector<std::vector<long>> read_through(const Device& device, int workers, int depth) {
  data::Loader loader(std::make_shared<Numbered>(kSamples), {.batch_size = kRows,
                                                             .training = true,
                                                             .augmentation = {.padding = 1},
                                                             .seed = 5,
                                                             .workers = workers,
                                                             .depth = depth,
                                                             .device = device});
  const InputPipeline pipeline({.extent = loader.row(), .mean = {0}, .std = {1}}, device);
  const OwnedStream copies(device);
  InputSlot slot(device, copies.get(), kRows, loader.row());
  std::vector<Tensor> seen;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    loader.start(epoch);
    while (const data::Batch* batch = loader.next()) {
      slot.load(*batch);
      slot.enter();
      const DeviceBatch b = pipeline(slot);
      seen.push_back(b.x);
      seen.push_back(cast(b.target, DType::f32) * (1.0 / 255));
      slot.leave();
    }
  }
  std::vector<std::vector<long>> levels;
  for (const Tensor& t : seen) levels.push_back(levels_of(t));
  return levels;
}

TEST(InputSlot, GivesTheStepsTheLoadersBatches) {
  const auto expected = read_through({}, 0, 1);
  ASSERT_EQ(expected.size(), 2U * 2 * kSamples / kRows);
  testing::over_modes([&](const std::string& mode) {
    for (const int depth : {1, 2, 3}) {
      EXPECT_TRUE(read_through(kSim, 1, depth) == expected) << mode << ", depth " << depth;
    }
  });
}

TEST(InputSlot, TakesBatchesOfItsShapeAlone) {
  const OwnedStream copies(kSim);
  InputSlot slot(kSim, copies.get(), 2, {3, 2, 1});
  data::BatchMemory other(kSim, 3, {3, 2, 1});
  EXPECT_NE(testing::error_of([&] { slot.load(other.batch()); }).find("expects a batch of shape"),
            std::string::npos);
}

}  // namespace
}  // namespace convoy::apps
