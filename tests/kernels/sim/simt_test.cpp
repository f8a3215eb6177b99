// SPDX-License-Identifier: MIT
// Scheduling, barriers, shuffles, launches: what a block is.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/gpu/target.h"

namespace convoy::on_sim {
namespace {

const Stream kStream{{DeviceType::sim}};

// Every schedule, and for the seeded one several seeds.
template <class Body>
void over_schedules(Body body) {
  for (const sim::Schedule schedule :
       {sim::Schedule::ascending, sim::Schedule::descending, sim::Schedule::seeded}) {
    for (std::uint64_t seed = 0; seed < (schedule == sim::Schedule::seeded ? 5 : 1); ++seed) {
      sim::options() = {.schedule = schedule, .seed = seed};
      body();
    }
  }
  sim::options() = {};
}

template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

__global__ void __launch_bounds__(64) number_each(int* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (inside(i, n)) y[i] = i;
}

TEST(Simt, EveryThreadRunsOnceWithItsIndices) {
  over_schedules([] {
    std::vector<int> y(1000, -1);
    launch({.grid = 16, .block = 64, .stream = kStream}, number_each, y.data(), 1000);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(y[i], i);
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

TEST(Simt, ABarrierOrdersSharedMemory) {
  over_schedules([] {
    std::vector<int> x(100), y(100);
    std::iota(x.begin(), x.end(), 0);
    launch({.grid = 1, .block = 100, .shared_bytes = sizeof(Reversal), .stream = kStream}, reverse,
           x.data(), y.data());
    for (int i = 0; i < 100; ++i) ASSERT_EQ(y[i], 99 - i);
  });
}

__global__ void sum_of_warp(int* y) {
  int value = static_cast<int>(threadIdx.x);
  for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(~0u, value, by);
  y[threadIdx.x] = value;
}

TEST(Simt, ShufflesSumAWarp) {
  over_schedules([] {
    std::vector<int> y(64);
    launch({.grid = 1, .block = 64, .stream = kStream}, sum_of_warp, y.data());
    for (int i = 0; i < 64; ++i) ASSERT_EQ(y[i], i < 32 ? 496 : 496 + 32 * 32);
  });
}

__global__ void divergent_barrier() {
  if (threadIdx.x < 32) __syncthreads();
}

TEST(Simt, ADivergentBarrierIsNamed) {
  const std::string text =
      error_of([] { launch({.grid = 1, .block = 64, .stream = kStream}, divergent_barrier); });
  EXPECT_NE(text.find("divergent barrier"), std::string::npos) << text;
  EXPECT_NE(text.find("simt_test.cpp:87"), std::string::npos) << text;
}

__global__ void __launch_bounds__(64) bounded() {}

TEST(Simt, ALaunchIsRejectedAsAGpuWould) {
  EXPECT_NE(error_of([] {
              launch({.grid = 1, .block = 96, .stream = kStream}, bounded);
            }).find("__launch_bounds__ allow 64 threads, found 96"),
            std::string::npos);
}

}  // namespace
}  // namespace convoy::on_sim
