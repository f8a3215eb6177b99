// SPDX-License-Identifier: MIT
#include "data/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

namespace convoy::data {
namespace {

// The later of two neighbours is ready first.
std::int64_t slow_square(std::int64_t i) {
  std::this_thread::sleep_for(std::chrono::microseconds(i % 2 == 0 ? 200 : 0));
  return i * i;
}

TEST(InOrder, GivesEachResultOnceInOrder) {
  for (const int workers : {0, 1, 2, 7}) {
    for (const std::int64_t count : {0, 1, 3, 100}) {
      std::int64_t expected = 0;
      in_order(count, workers, slow_square, [&](std::int64_t i, std::int64_t square) {
        EXPECT_EQ(i, expected++);
        EXPECT_EQ(square, i * i);
        return true;
      });
      EXPECT_EQ(expected, count) << workers;
    }
  }
}

TEST(InOrder, AnErrorComesAtItsPlace) {
  for (const int workers : {0, 1, 4}) {
    for (const std::int64_t bad : {0, 1, 17, 49}) {
      std::int64_t taken = 0;
      const auto work = [&](std::int64_t i) {
        if (i >= bad) throw std::runtime_error("item " + std::to_string(i));
        return slow_square(i);
      };
      try {
        in_order(50, workers, work, [&](std::int64_t, std::int64_t) {
          ++taken;
          return true;
        });
        ADD_FAILURE() << "expected an error";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "item " + std::to_string(bad)) << workers;
      }
      EXPECT_EQ(taken, bad) << workers;
    }
  }
}

TEST(InOrder, StopsAndDoesNotRunAway) {
  for (const int workers : {0, 1, 4}) {
    std::atomic<std::int64_t> made = 0;
    std::int64_t taken = 0;
    const auto work = [&](std::int64_t i) { return made += 1, i; };
    in_order(1'000'000, workers, work, [&](std::int64_t, std::int64_t) { return ++taken < 5; });
    EXPECT_EQ(taken, 5);
    EXPECT_LE(made, 5 + 5 * workers + (workers == 0 ? 0 : 1));
    EXPECT_THROW(in_order(1'000'000, workers, work,
                          [&](std::int64_t, std::int64_t) -> bool { throw std::logic_error("x"); }),
                 std::logic_error);
  }
}

}  // namespace
}  // namespace convoy::data
