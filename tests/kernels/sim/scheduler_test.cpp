// SPDX-License-Identifier: MIT
// Threads, barriers and waiting.
#include <numeric>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using testing::contains;
using testing::DeviceVector;
using testing::error_of;
using testing::kSimStream;
using testing::over_schedules;

__global__ void __launch_bounds__(64) number_each(int* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (inside(i, n)) y[i] = i;
}

TEST(Scheduler, EveryThreadRunsOnceWithItsIndices) {
  over_schedules([] {
    DeviceVector<int> y(1000, -1);
    launch({.grid = 16, .block = 64, .stream = kSimStream}, number_each, y.data(), 1000);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(y[i], i);
  });
}

__global__ void number_in_three_dimensions(int* y) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] += static_cast<int>(1 + block);
}

TEST(Scheduler, GridsAndBlocksHaveThreeDimensions) {
  over_schedules([] {
    DeviceVector<int> y(2 * 3 * 4 * 5 * 3 * 2, 0);
    launch({.grid = {2, 3, 4}, .block = {5, 3, 2}, .stream = kSimStream},
           number_in_three_dimensions, y.data());
    for (int i = 0; i < static_cast<int>(y.size()); ++i) ASSERT_EQ(y[i], 1 + i / 30);
  });
}

struct Reversal {
  int values[100];
};

__global__ void reverse(const int* x, int* y) {
  auto& s = shared<Reversal>();
  s.values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s.values[99 - threadIdx.x];
}

TEST(Scheduler, ABarrierOrdersSharedMemory) {
  over_schedules([] {
    DeviceVector<int> x(100), y(100);
    std::iota(x.begin(), x.end(), 0);
    launch({.grid = 1, .block = 100, .shared_bytes = sizeof(Reversal), .stream = kSimStream},
           reverse, x.data(), y.data());
    for (int i = 0; i < 100; ++i) ASSERT_EQ(y[i], 99 - i);
  });
}

// Without its barrier the kernel reads what is not there yet, in every schedule: depth first runs
// one warp to its end before another begins.
TEST(Scheduler, AMissingBarrierIsNoticedByTheResult) {
  const DeviceVector<int> x(100, 7);
  const auto run = [&] {
    DeviceVector<int> y(100);
    launch({.grid = 1, .block = 100, .shared_bytes = sizeof(Reversal), .stream = kSimStream},
           reverse, x.data(), y.data());
    return y;
  };
  sim::mutation::record();
  run();
  const auto sites = sim::mutation::stop_recording();
  ASSERT_EQ(sites.size(), 1u);
  sim::mutation::plant(sites[0].site, sim::Mutation::skip);
  over_schedules([&] { EXPECT_TRUE(testing::shows([&] { return run() != x; })); });
  sim::mutation::clear();
  EXPECT_EQ(run(), x);
}

LINE_HERE(kDivergent) __global__ void divergent_barrier() {
  if (threadIdx.x < 32) __syncthreads();
}

TEST(Scheduler, ADivergentBarrierIsNamed) {
  EXPECT_FAULT([] { launch({.grid = 1, .block = 64, .stream = kSimStream}, divergent_barrier); },
               "divergent barrier: __syncthreads waits for", kDivergent + 1);
}

__global__ void barriers_at_two_lines() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(Scheduler, BarriersAtTwoLinesAreDivergent) {
  const std::string text = error_of(
      [] { launch({.grid = 1, .block = 64, .stream = kSimStream}, barriers_at_two_lines); });
  EXPECT_TRUE(contains(text,
                       "divergent barrier: __syncthreads, while thread (0,0,0) of block "
                       "(0,0,0) is at __syncthreads"))
      << text;
}

__global__ void produce_and_consume(int* y) {
  auto& s = shared<Reversal>();
  if (threadIdx.x < 32) {
    s.values[threadIdx.x] = static_cast<int>(threadIdx.x);
    named_barrier_arrive(1, 64);
    named_barrier_sync(2, 64);
    y[32 + threadIdx.x] = s.values[threadIdx.x];
  } else {
    named_barrier_sync(1, 64);
    y[threadIdx.x - 32] = s.values[threadIdx.x - 32];
    s.values[threadIdx.x - 32] = 100;
    named_barrier_arrive(2, 64);
  }
}

TEST(Scheduler, NamedBarriersOrderProducerAndConsumer) {
  over_schedules([] {
    DeviceVector<int> y(64);
    launch({.grid = 1, .block = 64, .shared_bytes = sizeof(Reversal), .stream = kSimStream},
           produce_and_consume, y.data());
    for (int i = 0; i < 32; ++i) ASSERT_EQ(y[i], i);
    for (int i = 32; i < 64; ++i) ASSERT_EQ(y[i], 100);
  });
}

LINE_HERE(kDeadlock) __global__ void wait_for_each_other() {
  named_barrier_sync(1 + threadIdx.x / 32, 64);
}

TEST(Scheduler, ADeadlockNamesEachGroup) {
  const auto body = [] {
    launch({.grid = 1, .block = 64, .stream = kSimStream}, wait_for_each_other);
  };
  EXPECT_FAULT(body, "deadlock", kDeadlock + 1);
  EXPECT_TRUE(contains(error_of(body),
                       "64 threads of block (0,0,0), the first (0,0,0), wait for "
                       "named barrier (32 of 64 arrived)"))
      << error_of(body);
}

// Block b adds to what block b - 1 published.
__global__ void chain(int* sums, int* flags) {
  if (threadIdx.x != 0) return;
  const unsigned b = blockIdx.x;
  if (b > 0) wait_for(&flags[b - 1], 1);
  sums[b] = static_cast<int>(b) + (b > 0 ? sums[b - 1] : 0);
  publish(&flags[b], 1);
}

TEST(Scheduler, AResidentLaunchHasAllBlocksAlive) {
  over_schedules([] {
    DeviceVector<int> sums(6), flags(6);
    launch({.grid = 6, .block = 32, .stream = kSimStream, .resident = true}, chain, sums.data(),
           flags.data());
    EXPECT_EQ(sums, (DeviceVector<int>{0, 1, 3, 6, 10, 15}));
  });
}

struct Exchange {
  int value;
};

__global__ void __launch_bounds__(32) tell_the_cluster(int* y) {
  auto& s = shared<Exchange>();
  if (threadIdx.x == 0) s.value = static_cast<int>(10 * blockIdx.x);
  cluster_sync();
  if (threadIdx.x == 0) y[blockIdx.x] = s.value + static_cast<int>(cluster_rank());
  if (threadIdx.x == 1 && blockIdx.x == 0) y[6] = static_cast<int>(cluster_size());
}

TEST(Scheduler, BlocksOfAClusterMeet) {
  over_schedules([] {
    DeviceVector<int> y(7);
    launch({.grid = 6,
            .block = 32,
            .shared_bytes = sizeof(Exchange),
            .stream = kSimStream,
            .cluster = 2},
           tell_the_cluster, y.data());
    EXPECT_EQ(y, (DeviceVector<int>{0, 11, 20, 31, 40, 51, 2}));
  });
}

__global__ void overrun() {
  auto& s = shared<Reversal>();
  volatile int* values = s.values;
  values[100] = 1;
}

TEST(Scheduler, AStoreBehindTheStorageIsNoticed) {
  const auto body = [] {
    launch({.grid = 1, .block = 1, .shared_bytes = sizeof(Reversal), .stream = kSimStream},
           overrun);
  };
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH(body(), "use-after-poison");  // at the line itself
#else
  EXPECT_FALSE(error_of(body).empty());
#endif
}

__global__ void throws_in_one_thread() {
  __syncthreads();
  if (threadIdx.x == 7) throw Error("from thread 7");
  __syncthreads();
}

TEST(Scheduler, AnErrorEndsTheLaunchAndTheNextOneRuns) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(error_of([] {
                launch({.grid = 4, .block = 64, .stream = kSimStream}, throws_in_one_thread);
              }),
              "from thread 7");
  }
  DeviceVector<int> y(64);
  launch({.grid = 1, .block = 64, .stream = kSimStream}, number_each, y.data(), 64);
  EXPECT_EQ(y[63], 63);
}

}  // namespace
}  // namespace convoy::on_sim
