// SPDX-License-Identifier: MIT
// mbarrier: phases, a ring of slots between a producer and a consumer, clusters, and misuse.
#include "kernels/gpu/ptx/mbarrier.cuh"

#include <cmath>
#include <vector>

#include "kernels/gpu/ptx/fence.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

enum class Fault { none, no_full_wait, no_empty_wait, no_empty_arrive, wrong_parity };

constexpr int kSlots = 2, kThreads = 64;

struct Ring {
  float slot[kSlots][32];
  Mbarrier full[kSlots], empty[kSlots];
};

LINE_HERE(kRing)
// Warp 0 writes rows into slots, warp 1 adds them up. Both barriers count a warp's arrivals.
template <Fault kFault>
__global__ void sum_through_ring(const float* x, float* y, int rows) {
  auto& s = shared<Ring>();
  const int lane = static_cast<int>(threadIdx.x % 32), mirror = 31 - lane;
  if (threadIdx.x < kSlots) {
    mbarrier_init(s.full[threadIdx.x], 32);
    mbarrier_init(s.empty[threadIdx.x], 32);
  }
  __syncthreads();
  float sum = 0;
  for (int row = 0; row < rows; ++row) {
    const int slot = row % kSlots;
    const unsigned lap = static_cast<unsigned>(row / kSlots) % 2;
    if (threadIdx.x < 32) {
      if (kFault != Fault::no_empty_wait) mbarrier_wait(s.empty[slot], lap ^ 1);
      s.slot[slot][lane] = x[32 * row + lane];
      mbarrier_arrive(s.full[slot]);
    } else {
      const unsigned parity = kFault == Fault::wrong_parity ? lap ^ 1 : lap;
      if (kFault != Fault::no_full_wait) mbarrier_wait(s.full[slot], parity);
      sum += s.slot[slot][mirror];
      if (kFault != Fault::no_empty_arrive) mbarrier_arrive(s.empty[slot]);
    }
  }
  if (threadIdx.x >= 32) y[mirror] = sum;
}
constexpr int kEmptyWait = kRing + 16;

// The error's text, or how many sums are wrong.
template <Fault kFault>
std::string outcome() {
  constexpr int kRows = 7;
  DeviceVector<float> x(32 * kRows), y(32);
  for (int i = 0; i < 32 * kRows; ++i) x[i] = static_cast<float>(i * i % 97);
  const std::string error = error_of([&] {
    launch({.grid = 1, .block = kThreads, .shared_bytes = sizeof(Ring), .stream = kSimStream},
           sum_through_ring<kFault>, x.data(), y.data(), kRows);
  });
  if (!error.empty()) return error;
  int wrong = 0;
  for (int i = 0; i < 32; ++i) {
    float sum = 0;
    for (int row = 0; row < kRows; ++row) sum += x[32 * row + i];
    wrong += y[i] != sum;
  }
  return wrong == 0 ? "" : std::to_string(wrong) + " wrong";
}

TEST(Mbarrier, ARingOfSlotsWorksOverFiftySeeds) {
  over_schedules([] { ASSERT_EQ(outcome<Fault::none>(), ""); }, seeds(50));
}

TEST(Mbarrier, EachMissingWaitIsSeen) {
  over_schedules([] {
    EXPECT_NE(outcome<Fault::no_full_wait>(), "");
    EXPECT_NE(outcome<Fault::no_empty_wait>(), "");
    EXPECT_NE(outcome<Fault::wrong_parity>(), "");
  });
}

TEST(Mbarrier, AMissingArrivalIsANamedDeadlock) {
  EXPECT_FAULT([] { throw Error(outcome<Fault::no_empty_arrive>()); },
               "32 threads of block (0,0,0), the first (0,0,0), wait for an mbarrier's phase of "
               "parity 0",
               kEmptyWait);
}

struct One {
  Mbarrier barrier;
  int value;
};

template <class... Parameters>
void launch_one(void (*kernel)(Parameters...), unsigned threads = 1) {
  launch({.grid = 1, .block = threads, .shared_bytes = sizeof(One), .stream = kSimStream}, kernel);
}

LINE_HERE(kUninitialised)
__global__ void arrive_uninitialised() { mbarrier_arrive(shared<One>().barrier); }
__global__ void wait_invalidated() {
  auto& s = shared<One>();
  mbarrier_init(s.barrier, 1);
  mbarrier_invalidate(s.barrier);
  mbarrier_wait(s.barrier, 0);
}
__global__ void arrive_too_often() {
  auto& s = shared<One>();
  mbarrier_init(s.barrier, 1);
  mbarrier_arrive_expect(s.barrier, 16);
  mbarrier_arrive(s.barrier);
}
__global__ void expect_too_much() {
  auto& s = shared<One>();
  mbarrier_init(s.barrier, 2);
  mbarrier_expect(s.barrier, (1 << 20) - 1);
  mbarrier_expect(s.barrier, 1);
}
__global__ void init_with_nothing() { mbarrier_init(shared<One>().barrier, 0); }
__global__ void wait_for_parity_two() {
  auto& s = shared<One>();
  mbarrier_init(s.barrier, 1);
  mbarrier_wait(s.barrier, 2);
}
__global__ void arrive_misaligned() {
  auto& s = shared<One>();
  mbarrier_arrive_remote(mbarrier_of_rank(s.barrier, 0) + 4);
}

TEST(Mbarrier, MisuseIsNamed) {
  EXPECT_FAULT([] { launch_one(arrive_uninitialised); },
               "mbarrier.arrive: expects an initialised mbarrier", kUninitialised + 1);
  EXPECT_FAULT([] { launch_one(wait_invalidated); },
               "mbarrier.wait: expects an initialised mbarrier", kUninitialised + 6);
  EXPECT_FAULT([] { launch_one(arrive_too_often); },
               "mbarrier.arrive: expects 1 arrivals in a phase, found one more",
               kUninitialised + 12);
  EXPECT_FAULT([] { launch_one(expect_too_much); },
               "expects a transaction count of 0 to 1048575 bytes, found 1048576",
               kUninitialised + 18);
  EXPECT_FAULT([] { launch_one(init_with_nothing); }, "expects 1 to 2^20 - 1 arrivals, found 0",
               kUninitialised + 20);
  EXPECT_FAULT([] { launch_one(wait_for_parity_two); }, "expects a parity of 0 or 1, found 2",
               kUninitialised + 24);
  EXPECT_FAULT([] { launch_one(arrive_misaligned); }, "at a multiple of 8, found offset 4",
               kUninitialised + 28);
}

LINE_HERE(kMissed)
// Thread 1 does not hold up thread 0, which may be two phases further when 1 looks again.
__global__ void miss_a_phase() {
  auto& s = shared<One>();
  if (threadIdx.x == 0) mbarrier_init(s.barrier, 1);
  __syncthreads();
  if (threadIdx.x == 1) {
    named_barrier_arrive(1, 2);
    mbarrier_wait(s.barrier, 0);
  } else {
    named_barrier_sync(1, 2);
    mbarrier_arrive(s.barrier);
    mbarrier_arrive(s.barrier);
  }
}

TEST(Mbarrier, AMissedPhaseIsNamed) {
  sim::options() = {.schedule = sim::Schedule::descending};
  const std::string error = error_of([] { launch_one(miss_a_phase, 2); });
  sim::options() = {};
  EXPECT_TRUE(contains(error, "expects to see a phase's end before the next one ends")) << error;
  EXPECT_TRUE(contains(error, ".cpp:" + std::to_string(kMissed + 8))) << error;
}

// Each block of a cluster waits for an arrival of every block at its own barrier.
template <bool kStay>
__global__ void greet_the_cluster(int* greeted) {
  auto& s = shared<One>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.barrier, cluster_size());
    fence_mbarrier_init();
  }
  cluster_sync();
  if (threadIdx.x < cluster_size()) {
    mbarrier_arrive_remote(mbarrier_of_rank(s.barrier, threadIdx.x));
  }
  if (kStay || cluster_rank() == 0) mbarrier_wait(s.barrier, 0);
  if (threadIdx.x == 0) greeted[blockIdx.x] = 1;
}

TEST(Mbarrier, ArrivesAcrossACluster) {
  over_schedules([] {
    DeviceVector<int> greeted(8);
    launch(
        {.grid = 8, .block = 32, .shared_bytes = sizeof(One), .stream = kSimStream, .cluster = 4},
        greet_the_cluster<true>, greeted.data());
    for (const int g : greeted) EXPECT_EQ(g, 1);
  });
}

LINE_HERE(kExited)
__global__ void greet_the_exited() {
  auto& s = shared<One>();
  if (threadIdx.x == 0) mbarrier_init(s.barrier, 2);
  cluster_sync();
  if (cluster_rank() == 1) return;
  named_barrier_sync(1, 32);
  mbarrier_arrive_remote(mbarrier_of_rank(s.barrier, 1));
}

TEST(Mbarrier, AnArrivalAtABlockThatHasExitedIsNamed) {
  sim::options() = {.schedule = sim::Schedule::descending};
  const std::string error = error_of([] {
    launch(
        {.grid = 2, .block = 32, .shared_bytes = sizeof(One), .stream = kSimStream, .cluster = 2},
        greet_the_exited);
  });
  sim::options() = {};
  EXPECT_TRUE(contains(error, "expects a block that runs, found that block (1,0,0) has exited"))
      << error;
  EXPECT_TRUE(contains(error, ".cpp:" + std::to_string(kExited + 7))) << error;
}

}  // namespace
}  // namespace convoy::on_sim
