// SPDX-License-Identifier: MIT
// Shuffles, votes and reductions over a warp, against their definitions (CUDA C++ Programming
// Guide, warp shuffle, vote and reduce functions).
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using testing::DeviceVector;
using testing::kSimStream;
using testing::over_schedules;

constexpr int kResults = 12;

__global__ void all_functions(int* y) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int x = lane * lane;
  int* mine = y + threadIdx.x * kResults;
  mine[0] = __shfl_sync(~0u, x, 5);
  mine[1] = __shfl_sync(~0u, x, lane + 3, 8);
  mine[2] = __shfl_up_sync(~0u, x, 2);
  mine[3] = __shfl_up_sync(~0u, x, 3, 16);
  mine[4] = __shfl_down_sync(~0u, x, 4);
  mine[5] = __shfl_down_sync(~0u, x, 5, 8);
  mine[6] = __shfl_xor_sync(~0u, x, 9);
  mine[7] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  mine[8] = __any_sync(~0u, lane == 31) + 2 * __all_sync(~0u, lane < 31);
  mine[9] = __reduce_add_sync(~0u, lane);
  mine[10] = __reduce_max_sync(~0u, -lane);
  if (lane < 8) mine[11] = __shfl_xor_sync(0xffu, x, 1);
}

int square_of(int lane) { return lane * lane; }

TEST(Warp, FunctionsDoWhatCudaSays) {
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; lane += 3) ballot |= 1u << lane;
  over_schedules([&] {
    DeviceVector<int> y(64 * kResults, -1);
    launch({.grid = 1, .block = 64, .stream = kSimStream}, all_functions, y.data());
    for (int t = 0; t < 64; ++t) {
      const int lane = t % 32, *found = &y[static_cast<std::size_t>(t * kResults)];
      EXPECT_EQ(found[0], 25);
      EXPECT_EQ(found[1], square_of(lane / 8 * 8 + (lane + 3) % 8));
      EXPECT_EQ(found[2], square_of(lane < 2 ? lane : lane - 2));
      EXPECT_EQ(found[3], square_of(lane % 16 < 3 ? lane : lane - 3));
      EXPECT_EQ(found[4], square_of(lane > 27 ? lane : lane + 4));
      EXPECT_EQ(found[5], square_of(lane % 8 > 2 ? lane : lane + 5));
      EXPECT_EQ(found[6], square_of(lane ^ 9));
      EXPECT_EQ(static_cast<unsigned>(found[7]), ballot);
      EXPECT_EQ(found[8], 1);
      EXPECT_EQ(found[9], 496);
      EXPECT_EQ(found[10], 0);
      EXPECT_EQ(found[11], lane < 8 ? square_of(lane ^ 1) : -1);
    }
  });
}

LINE_HERE(kExited) __global__ void shuffle_after_exit(int* y) {
  if (threadIdx.x == 9) return;
  y[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}

TEST(Warp, AnExitedLaneInTheMaskIsNamed) {
  DeviceVector<int> y(32);
  EXPECT_FAULT(
      [&] { launch({.grid = 1, .block = 32, .stream = kSimStream}, shuffle_after_exit, y.data()); },
      "__shfl_sync names lane 9, which has exited", kExited + 2);
}

LINE_HERE(kOwn) __global__ void mask_without_own_lane() {
  if (threadIdx.x < 2) __syncwarp(1);
}

TEST(Warp, AMaskMustNameTheCallingLane) {
  EXPECT_FAULT(
      [] { launch({.grid = 1, .block = 32, .stream = kSimStream}, mask_without_own_lane); },
      "the mask does not name the calling lane 1", kOwn + 1);
}

LINE_HERE(kSource) __global__ void shuffle_from_outside_the_mask(int* y) {
  if (threadIdx.x < 4) y[threadIdx.x] = __shfl_sync(0xfu, 1, 9);
}

TEST(Warp, ASourceOutsideOfTheMaskIsNamed) {
  DeviceVector<int> y(32);
  EXPECT_FAULT(
      [&] {
        launch({.grid = 1, .block = 32, .stream = kSimStream}, shuffle_from_outside_the_mask,
               y.data());
      },
      "reads lane 9, which the mask does not name", kSource + 1);
}

LINE_HERE(kLines) __global__ void lanes_at_two_operations(int* y) {
  if (threadIdx.x < 16) {
    y[threadIdx.x] = __shfl_sync(~0u, 1, 0);
  } else {
    y[threadIdx.x] = __shfl_xor_sync(~0u, 1, 1);
  }
}

TEST(Warp, LanesAtDifferentOperationsAreNamedWithBothLines) {
  DeviceVector<int> y(32);
  const auto body = [&] {
    launch({.grid = 1, .block = 32, .stream = kSimStream}, lanes_at_two_operations, y.data());
  };
  EXPECT_FAULT(body, "divergent lanes", kLines + 2);
  EXPECT_FAULT(body, "divergent lanes", kLines + 4);
}

// Integer atomics in any order give one sum.
__global__ void count_odd(const int* x, int n, int* count, int* largest, unsigned* bits) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (!inside(i, n)) return;
  if (x[i] % 2 != 0) atomicAdd(count, 1);
  atomicMax(largest, x[i]);
  atomicOr(bits, 1u << (x[i] % 5));
}

TEST(Warp, IntegerAtomicsDoNotDependOnTheSchedule) {
  DeviceVector<int> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i * 7 % 1000);
  over_schedules([&] {
    DeviceVector<int> count{0}, largest{-1};
    DeviceVector<unsigned> bits{0};
    launch({.grid = 16, .block = 64, .stream = kSimStream}, count_odd, x.data(), 1000, count.data(),
           largest.data(), bits.data());
    EXPECT_EQ(count[0], 500);
    EXPECT_EQ(largest[0], 999);
    EXPECT_EQ(bits[0], 0x1fu);
  });
}

}  // namespace
}  // namespace convoy::on_sim
