// SPDX-License-Identifier: MIT
#include "data/shuffle_window.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <vector>

namespace convoy::data {
namespace {

std::vector<std::int64_t> order_of(std::int64_t size, std::int64_t window, std::uint64_t seed = 1,
                                   std::int64_t epoch = 0) {
  const WindowedShuffle order(size, window, seed, epoch);
  std::vector<std::int64_t> indices;
  for (std::int64_t place = 0; place < size; ++place) indices.push_back(order(place));
  return indices;
}

TEST(WindowedShuffle, VisitsEachSampleOnce) {
  for (const std::int64_t size : {0, 1, 2, 15, 16, 17, 100, 1000, 4099}) {
    for (const std::int64_t window : {1, 2, 16, 17, 64, 100, 256, 5000}) {
      std::vector<std::int64_t> found = order_of(size, window), expected(found.size());
      std::iota(expected.begin(), expected.end(), 0);
      std::sort(found.begin(), found.end());
      EXPECT_EQ(found, expected) << size << " " << window;
    }
  }
}

TEST(WindowedShuffle, DependsOnSeedAndEpochAndNothingElse) {
  EXPECT_EQ(order_of(1000, 128, 3, 2), order_of(1000, 128, 3, 2));
  EXPECT_NE(order_of(1000, 128, 3, 2), order_of(1000, 128, 4, 2));
  EXPECT_NE(order_of(1000, 128, 3, 2), order_of(1000, 128, 3, 1));
}

// Stretches of 8: a window of 128 lies in 16 of them, or 18 where it begins or ends inside one and
// the end of the data set is in another.
TEST(WindowedShuffle, AWindowReadsFewStretches) {
  for (const std::int64_t epoch : {0, 1, 2}) {
    const std::vector<std::int64_t> order = order_of(10'003, 128, 7, epoch);
    for (std::size_t first = 0; first + 128 <= order.size(); first += 128) {
      std::vector<std::int64_t> window(order.begin() + static_cast<std::ptrdiff_t>(first),
                                       order.begin() + static_cast<std::ptrdiff_t>(first + 128));
      std::sort(window.begin(), window.end());
      int breaks = 0;
      for (std::size_t i = 1; i < window.size(); ++i) breaks += window[i] != window[i - 1] + 1;
      EXPECT_LE(breaks, 17) << first;
      EXPECT_GE(breaks, 8) << "not one long stretch";
    }
  }
}

// Neighbours in the order are no neighbours on the disk, in any window, and windows differ.
TEST(WindowedShuffle, IsShuffledInsideAWindow) {
  const std::vector<std::int64_t> order = order_of(4096, 256);
  int neighbours = 0;
  for (std::size_t i = 1; i < order.size(); ++i) neighbours += order[i] == order[i - 1] + 1;
  EXPECT_LT(neighbours, 60);  // one in 256 / (15 of 16) is expected: 15
  std::set<std::vector<std::int64_t>> patterns;
  for (std::size_t first = 0; first < order.size(); first += 256) {
    std::vector<std::int64_t> rank(256);
    for (std::size_t i = 0; i < 256; ++i) rank[i] = order[first + i] % 16;
    patterns.insert(rank);
  }
  EXPECT_EQ(patterns.size(), 16u);
}

// What is left over behind the last stretch comes in the last window, and is another part of the
// data set in each epoch.
TEST(WindowedShuffle, NoSampleIsAlwaysInTheLastWindow) {
  int late = 0;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto order = order_of(1001, 160, 5, epoch);
    late += std::find(order.begin() + 960, order.end(), 1000) != order.end();
  }
  EXPECT_LT(late, 6);  // 41 places of 1001: one epoch in 24
}

// Over epochs every sample comes to every part of the order.
TEST(WindowedShuffle, SpreadsSamplesOverTheEpoch) {
  constexpr int kEpochs = 400, kSize = 640;
  std::vector<double> mean(kSize);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = order_of(kSize, 64, 11, epoch);
    for (int p = 0; p < kSize; ++p)
      mean[static_cast<std::size_t>(order[static_cast<std::size_t>(p)])] += p;
  }
  // Uniform places have deviation kSize / sqrt(12); the mean of 400 then has 9.2, and 640 of them
  // stay within five times that.
  for (const double m : mean) EXPECT_NEAR(m / kEpochs, (kSize - 1) / 2.0, 46);
}

}  // namespace
}  // namespace convoy::data
