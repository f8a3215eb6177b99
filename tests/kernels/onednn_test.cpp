// SPDX-License-Identifier: MIT
#include "kernels/cpu/onednn.h"

#include <gtest/gtest.h>

#include <thread>

namespace convoy::on_cpu {
namespace {

TEST(PrimitiveCache, BuildsOnceAndDropsTheLeastRecentlyUsed) {
  PrimitiveCache<int> cache(2);
  int built = 0;
  const auto get = [&](std::int64_t key) {
    return *cache.get({key}, [&] { return ++built, static_cast<int>(key); });
  };
  EXPECT_EQ(get(1) + get(2) + get(1), 4);
  EXPECT_EQ(built, 2);
  get(3);  // drops 2, which was used before 1
  EXPECT_EQ(cache.size(), 2u);
  get(1);
  EXPECT_EQ(built, 3);
  get(2);
  EXPECT_EQ(built, 4);
}

TEST(PrimitiveCache, AnEvictedEntryLivesAsLongAsItsUser) {
  PrimitiveCache<int> cache(1);
  const auto held = cache.get({1}, [] { return 7; });
  cache.get({2}, [] { return 8; });
  EXPECT_EQ(*held, 7);
}

TEST(PrimitiveCache, AFailedBuildLeavesNothingBehind) {
  PrimitiveCache<int> cache;
  EXPECT_THROW(cache.get({1}, []() -> int { fail("test: expected, found"); }), Error);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(*cache.get({1}, [] { return 5; }), 5);
}

TEST(PrimitiveCache, ServesManyThreads) {
  PrimitiveCache<std::int64_t> cache(8);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::int64_t i = 0; i < 2000; ++i) {
        const std::int64_t key = i % 13;
        EXPECT_EQ(*cache.get({key}, [&] { return key; }), key);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(cache.size(), 8u);
}

}  // namespace
}  // namespace convoy::on_cpu
