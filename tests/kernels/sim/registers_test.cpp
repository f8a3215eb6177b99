// SPDX-License-Identifier: MIT
// setmaxnreg's budget, and elect.
#include "kernels/gpu/ptx/registers.cuh"

#include <vector>

#include "kernels/gpu/ptx/elect.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

LINE_HERE(kTrade)
// 384 threads start with 168 registers each: 24 + 2 * 240 fit, 2 * 248 do not.
template <int kProducer, int kConsumer>
__global__ void __launch_bounds__(384, 1) trade(int* done) {
  if (threadIdx.x < 128) {
    release_registers<kProducer>();
  } else {
    acquire_registers<kConsumer>();
  }
  done[threadIdx.x] = 1;
}

template <int kProducer, int kConsumer>
void run_trade() {
  DeviceVector<int> done(384);
  launch({.grid = 1, .block = 384, .stream = kSimStream}, trade<kProducer, kConsumer>, done.data());
  ASSERT_EQ(done, DeviceVector<int>(384, 1));
}

TEST(Registers, ChangeHandsWithinTheBudget) {
  over_schedules([] {
    run_trade<24, 240>();
    run_trade<168, 168>();
  });
}

TEST(Registers, ABudgetThatDoesNotAddUpIsANamedDeadlock) {
  EXPECT_FAULT((run_trade<24, 248>), "wait for registers that other warps of the block give back",
               kTrade + 7);
}

TEST(Registers, TheWrongDirectionIsNamed) {
  EXPECT_FAULT((run_trade<176, 240>), "setmaxnreg.dec: expects no more registers", kTrade + 5);
  EXPECT_FAULT((run_trade<24, 160>), "setmaxnreg.inc: expects no fewer registers", kTrade + 7);
}

LINE_HERE(kHalf)
__global__ void half_a_warpgroup() {
  if (threadIdx.x < 64) release_registers<24>();
}

TEST(Registers, AWarpThatStaysAwayIsNamed) {
  EXPECT_FAULT([] { launch({.grid = 1, .block = 128, .stream = kSimStream}, half_a_warpgroup); },
               "wait for setmaxnreg (64 of 128 arrived)", kHalf + 2);
}

__global__ void elect_each(int* elected) { elected[threadIdx.x] = elect_one(); }

TEST(Elect, ChoosesOneLaneOfEachWarp) {
  over_schedules([] {
    DeviceVector<int> elected(96);
    launch({.grid = 1, .block = 96, .stream = kSimStream}, elect_each, elected.data());
    for (int warp = 0; warp < 3; ++warp) {
      int count = 0;
      for (int lane = 0; lane < 32; ++lane) count += elected[32 * warp + lane];
      EXPECT_EQ(count, 1);
    }
  });
}

}  // namespace
}  // namespace convoy::on_sim
