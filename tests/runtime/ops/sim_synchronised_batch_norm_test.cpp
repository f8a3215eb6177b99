// SPDX-License-Identifier: MIT
#include "tests/runtime/ops/spread_batch.h"
#include "tests/support/gpu_device.h"

namespace convoy::spread_batch {
namespace {

TEST(SynchronisedBatchNorm, RanksTogetherAreOneOnASimulatedGpu) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.cuts.size() - 1 << " ranks, " << c.cuts.back());
    expect_the_whole(c, DType::f32, testing::gpu_device());
    if (c.shift > 0) continue;  // halves of such a size have few digits
    expect_the_whole(c, DType::f16, testing::gpu_device());
    expect_the_whole(c, DType::bf16, testing::gpu_device());
  }
}

}  // namespace
}  // namespace convoy::spread_batch
