// SPDX-License-Identifier: MIT
#include "apps/trainer/mix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::apps {
namespace {

constexpr Device kSim{DeviceType::sim, 0};
constexpr std::int64_t kRows = 5, kSide = 4, kClasses = 3;
const data::ImageExtent kExtent{kSide, kSide, 1};

// Row r holds pixels of 10 (r + 1), has class r mod 3, and is not moved.
void fill(const data::Batch& b, std::int64_t position) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto level = static_cast<std::uint8_t>(10 * (r + 1));
    std::fill_n(b.images.begin() + static_cast<std::ptrdiff_t>(r) * kSide * kSide, kSide * kSide,
                level);
    b.labels[r] = static_cast<std::int32_t>(r % kClasses);
    b.row[r] = {};
  }
  const_cast<data::Batch&>(b).position = position;
  const_cast<data::Batch&>(b).valid = kRows;
}

double loss_of(const std::vector<float>& logits, std::size_t row, std::size_t label) {
  double sum = 0;
  for (std::size_t k = 0; k < kClasses; ++k) sum += std::exp(logits[row * kClasses + k]);
  return std::log(sum) - logits[row * kClasses + label];
}

// Two and two; the fifth has none.
constexpr std::size_t kPartner[kRows] = {1, 0, 3, 2, 4};

class MixSlotOn : public ::testing::TestWithParam<Device> {};

// Against loops over the drawn weights, of mixup and of cutmix, one batch after the other.
TEST_P(MixSlotOn, MixesPicturesAndLosses) {
  const Device device = GetParam();
  const testing::ScopedMode mode(sim::Async::late);
  const InputPipeline pipeline({.extent = kExtent, .mean = {0}, .std = {1}}, device);
  const OwnedStream copies(device);
  InputSlot slot(device, copies.get(), kRows, kExtent);
  MixSlot mix_slot(device, kRows, kExtent);
  const MixConfig config{.options = {.mixup = 1, .cutmix = 1}, .seed = 3};
  std::vector<float> values;
  for (std::size_t i = 0; i < kRows * kClasses; ++i)
    values.push_back(std::sin(0.7f * static_cast<float>(i)));
  const Tensor logits = from_vector(values, {kRows, kClasses}, device);
  data::BatchMemory memory(device, kRows, kExtent);
  int cut = 0;
  for (std::int64_t position = 0; position < 8; ++position) {
    memory.wait_until_free();
    fill(memory.batch(), position);
    slot.load(memory.batch());
    mix_slot.load(memory.batch(), slot, config);
    slot.enter();
    mix_slot.enter();
    const DeviceBatch b = pipeline(slot);
    const auto x = to_vector<float>(mix_slot.mixed(b.x, slot, pipeline));
    const double loss = mix_slot.mixed_loss(cross_entropy(logits, b.target), logits, {}).item();
    slot.leave();

    const data::BatchMix mix =
        data::draw_mix(config.options, kExtent, {.seed = 3, .epoch = 0, .index = position});
    cut += mix.cut;
    std::vector<float> weights(kSide * kSide);
    data::fill_weights(mix, kExtent, weights);
    double expected_loss = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::size_t partner = kPartner[r];
      for (std::size_t p = 0; p < weights.size(); ++p) {
        const double own = 10.0 * static_cast<double>(r + 1) / 255;
        const double other = 10.0 * static_cast<double>(partner + 1) / 255;
        EXPECT_NEAR(x[r * weights.size() + p], own + weights[p] * (other - own), 1e-6);
      }
      expected_loss += (1 - mix.share) * loss_of(values, r, r % kClasses) / kRows +
                       mix.share * loss_of(values, r, partner % kClasses) / kRows;
    }
    EXPECT_NEAR(loss, expected_loss, 1e-5) << position;
  }
  EXPECT_TRUE(cut > 0 && cut < 8) << cut;
}

INSTANTIATE_TEST_SUITE_P(Devices, MixSlotOn, ::testing::Values(Device{}, kSim));

}  // namespace
}  // namespace convoy::apps
