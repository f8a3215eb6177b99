// SPDX-License-Identifier: MIT
#include "apps/convoy/verdict.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace convoy::testing {
namespace {

using apps::Verdict;
using std::chrono::milliseconds;

struct End {
  int rank, exit_code;
  bool ended_by_us = false;
};

Verdict of(const std::vector<End>& ends) {
  Verdict verdict;
  Verdict::Clock::time_point now(milliseconds(0));
  for (const auto& [rank, exit_code, ended_by_us] : ends) {
    now += milliseconds(100);
    verdict.note(rank, exit_code, "ended", ended_by_us, now);
  }
  return verdict;
}

TEST(Verdict, TheRankThatSaysWhatWentWrongGoesFirst) {
  const struct {
    std::vector<End> ends;
    int exit_code;
    const char* sentence;
  } cases[] = {
      {{{0, 0}, {1, 0}}, 0, ""},
      {{{0, 1}, {1, 1}}, 1, "rank 0 ended"},
      {{{2, 1}, {1, 3}, {0, 1}}, 3, "rank 1 ended"},
      {{{2, 1}, {1, 4}, {0, 3}}, 4, "rank 1 ended"},
      {{{0, 1}, {2, 137}}, 137, "rank 2 ended"},
      {{{0, 1}, {2, 137, true}}, 1, "rank 0 ended"},
      {{{0, 137, true}, {1, 3}}, 3, "rank 1 ended"},
      {{{0, 3}, {2, 139}}, 3, "rank 0 ended"},
      {{{1, 75}, {0, 75}}, 75, ""},
      {{{1, 75}, {0, 1}}, 1, "rank 0 ended"},
      {{{1, 1}, {0, 75}}, 1, "rank 1 ended"},
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const Verdict verdict = of(cases[i].ends);
    EXPECT_EQ(verdict.exit_code(), cases[i].exit_code) << i;
    EXPECT_EQ(verdict.sentence(), cases[i].sentence) << i;
  }
}

// The others may still be writing what they save.
TEST(Verdict, NoClockStartsWhereRanksWereStoppedBySignal) {
  EXPECT_FALSE(of({{0, 0}, {1, 75}}).failed_since());
  EXPECT_EQ(of({{1, 75}, {0, 1}, {2, 3}}).failed_since(),
            Verdict::Clock::time_point(milliseconds(200)));
}

TEST(Verdict, ARankThatFailedIsNotMissedForTheWholeTimeout) {
  EXPECT_EQ(Verdict::patience(2.5), milliseconds(2500));
  for (const double seconds : {600.0, 1e300, std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN(), 0.0, -1.0}) {
    EXPECT_EQ(Verdict::patience(seconds), milliseconds(15000)) << seconds;
  }
}

}  // namespace
}  // namespace convoy::testing
