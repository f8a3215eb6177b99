// SPDX-License-Identifier: MIT
// Sums and maxima over a warp and a block.
#include "kernels/gpu/warp.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using testing::DeviceVector;
using testing::kSimStream;
using testing::over_schedules;

template <int kWidth>
__global__ void __launch_bounds__(32) sum_groups(const float* x, float* y) {
  y[threadIdx.x] = warp_sum<kWidth>(x[threadIdx.x]);
}

TEST(WarpFolds, SumsEachGroupOfLanes) {
  DeviceVector<float> x(32), y(32);
  std::iota(x.begin(), x.end(), 1.0f);
  over_schedules([&] {
    launch({.grid = 1, .block = 32, .stream = kSimStream}, sum_groups<32>, x.data(), y.data());
    for (const float v : y) ASSERT_EQ(v, 528);
    launch({.grid = 1, .block = 32, .stream = kSimStream}, sum_groups<8>, x.data(), y.data());
    for (int i = 0; i < 32; ++i) ASSERT_EQ(y[i], 36 + 64 * (i / 8));
  });
}

template <int kThreads>
struct Storage {
  BlockScratch<float, kThreads> largest;
  BlockScratch<double, kThreads> sum;
};

template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    fold_block(const float* x, float* largest, double* sum) {
  auto& s = shared<Storage<kThreads>>();
  const float mine = x[threadIdx.x];
  largest[threadIdx.x] = block_max(mine, s.largest);
  sum[threadIdx.x] = block_sum(static_cast<double>(mine), s.sum);
}

template <int kThreads>
void expect_folds() {
  DeviceVector<float> x(kThreads), largest(kThreads);
  DeviceVector<double> sum(kThreads);
  for (int i = 0; i < kThreads; ++i) x[i] = static_cast<float>(i * 37 % kThreads) - 1000;
  over_schedules([&] {
    launch({.grid = 1,
            .block = kThreads,
            .shared_bytes = sizeof(Storage<kThreads>),
            .stream = kSimStream},
           fold_block<kThreads>, x.data(), largest.data(), sum.data());
    for (int i = 0; i < kThreads; ++i) {
      ASSERT_EQ(largest[i], *std::max_element(x.begin(), x.end()));
      ASSERT_EQ(sum[i], std::accumulate(x.begin(), x.end(), 0.0));
    }
  });
}

TEST(WarpFolds, FoldsABlockOfOneOrManyWarps) {
  expect_folds<32>();
  expect_folds<96>();
  expect_folds<256>();
  expect_folds<1024>();
}

__global__ void __launch_bounds__(32) largest_lane(const float* x, float* y) {
  y[threadIdx.x] = warp_max(x[threadIdx.x]);
}

TEST(WarpFolds, MaximumPassesOverNaN) {
  DeviceVector<float> x(32, std::numeric_limits<float>::quiet_NaN()), y(32);
  x[7] = -3;
  launch({.grid = 1, .block = 32, .stream = kSimStream}, largest_lane, x.data(), y.data());
  for (const float v : y) ASSERT_EQ(v, -3);
}

}  // namespace
}  // namespace convoy::on_sim
