// SPDX-License-Identifier: MIT
#include "tests/nn/sharded_job.h"
#include "tests/support/gpu_device.h"

namespace convoy::nn::sharded {
namespace {

class ShardedSteps : public ::testing::TestWithParam<Case> {};

TEST_P(ShardedSteps, EqualTheWholeBitForBit) {
  expect_shards_equal_the_whole<OddParameters>(GetParam().job);
}

TEST_P(ShardedSteps, OfFewerParametersThanRanks) {
  expect_shards_equal_the_whole<OneParameter>(GetParam().job);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const Device device = testing::gpu_device();
  for (const auto& [name, options] : kOptimizers) {
    for (const double clip : {0.0, 0.3}) {
      const std::string called = fmt::format("{}{}", name, clip > 0 ? "Clipped" : "");
      all.push_back({called, {options, device, {}, clip, 2, 1, {2, 3}}});
      all.push_back({called + "Half", {options, device, DType::f16, clip, 2, -1, {4}}});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Simulated, ShardedSteps, ::testing::ValuesIn(cases()), case_name);

TEST(ShardedLars, OnASimulatedGpuIsNearTheWhole) {
  expect_lars_is_near_the_whole<OddParameters>(testing::gpu_device(), DType::f16);
}

TEST(Resumed, OnASimulatedGpuWhatAnyJobHasSavedAnyOtherLoads) {
  expect_any_job_loads_what_any_has_saved(
      {{.kind = adamw, .weight_decay = 0.01}, testing::gpu_device(), DType::f16});
}

}  // namespace
}  // namespace convoy::nn::sharded
