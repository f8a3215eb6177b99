// SPDX-License-Identifier: MIT
#include "tests/nn/sharded_cases.h"
#include "tests/support/gpu_device.h"

namespace convoy::nn::sharded {
namespace {

std::vector<Case> cases() {
  const Device device = testing::gpu_device();
  return each_optimizer([&](const OptimizerOptions& options, double clip, bool half) -> Job {
    if (!half) return {options, device, {}, clip, 2, 1, {2, 3}};
    return {options, device, DType::f16, clip, 2, -1, {4}};
  });
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
