// SPDX-License-Identifier: MIT
// The example of docs/simulator.md, "A kernel of your own", and what it says of it.
#include "kernels/gpu/gpu.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

constexpr int kThreads = 64;

struct Storage {
  float x[kThreads];
};

// y[i] = x[i] - x[i - 1]; a block's first is x[i].
__global__ void __launch_bounds__(kThreads) subtract_left(const float* x, float* y, int count) {
  begin_kernel();
  auto& s = shared<Storage>();
  const int thread = static_cast<int>(threadIdx.x);
  const int i = static_cast<int>(blockIdx.x) * kThreads + thread;
  if (inside(i, count)) s.x[thread] = x[i];
  __syncthreads();
  if (inside(i, count)) y[i] = thread == 0 ? s.x[0] : s.x[thread] - s.x[thread - 1];
}

float fifth_difference() {
  const int count = 100;
  DeviceVector<float> x(count), y(count);
  for (int i = 0; i < count; ++i) x[i] = static_cast<float>(i * i);
  launch({.grid = blocks_for(count, kThreads),
          .block = kThreads,
          .shared_bytes = sizeof(Storage),
          .stream = kSimStream},
         subtract_left, x.data(), y.data(), count);
  return y[5];
}

TEST(FirstKernel, SubtractsTheLeftNeighbour) {
  over_schedules([] { EXPECT_EQ(fifth_difference(), 25 - 16); });
}

// Without its barrier the result is right by luck in ascending order, and wrong in descending. The
// access checker finds the race where it does no harm, too.
TEST(FirstKernel, NeedsItsBarrier) {
  sim::mutation::record();
  fifth_difference();
  for (const auto& seen : sim::mutation::stop_recording()) {
    if (!seen.is_bound) sim::mutation::plant(seen.site, sim::Mutation::skip);
  }
  if (sim::access::kEnabled) {
    const std::string error = error_of([] { fifth_difference(); });
    EXPECT_TRUE(contains(error, "race: reads 4 bytes at offset 0 of shared memory")) << error;
  } else {
    EXPECT_EQ(fifth_difference(), 25 - 16);
    sim::options().schedule = sim::Schedule::descending;
    EXPECT_NE(fifth_difference(), 25 - 16);
  }
  sim::mutation::clear();
  sim::options() = {};
}

}  // namespace
}  // namespace convoy::on_sim
