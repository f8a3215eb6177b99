// SPDX-License-Identifier: MIT
#include "tests/nn/averaged_job.h"
#include "tests/support/gpu_device.h"

namespace convoy::nn::sharded {
namespace {

const OptimizerOptions kAdamW{.kind = adamw, .weight_decay = 0.01};

TEST(Ema, OnASimulatedGpuIsThatOfADoubleLoop) {
  const Device device = testing::gpu_device();
  expect_averages_of_a_double_loop({kAdamW, device, {}, 0, 4}, kQuick);
  expect_averages_of_a_double_loop({kAdamW, device, DType::f16, 0.3, 4, 2}, kQuick);
  expect_averages_of_a_double_loop({kAdamW, device, DType::bf16, 0, 3, 0}, {.decay = 0.9});
}

TEST(Ema, OnASimulatedGpuServesForAWhile) {
  const Device device = testing::gpu_device();
  expect_averages_serve_for_a_while({kAdamW, device, {}, 0, 2});
  expect_averages_serve_for_a_while({kAdamW, device, DType::bf16, 0, 2});
}

TEST(Ema, OnASimulatedGpuOfShardsEqualsTheWholeBitForBit) {
  const Device device = testing::gpu_device();
  expect_averages_of_shards_equal_the_whole({{.kind = sgd}, device, {}, 0, 2, -1, {3}});
  expect_averages_of_shards_equal_the_whole({kAdamW, device, DType::f16, 0, 3, 1, {2, 4}});
}

TEST(Ema, OnASimulatedGpuAnyJobLoadsWhatAnyOtherHasSaved) {
  expect_any_job_loads_the_averages_of_any({kAdamW, testing::gpu_device(), DType::f16});
}

}  // namespace
}  // namespace convoy::nn::sharded
