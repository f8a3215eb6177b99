// SPDX-License-Identifier: MIT
#include "kernels/cpu/parallel.h"

#include <gtest/gtest.h>

#include <vector>

namespace convoy::on_cpu {
namespace {

// How often parallel_for visits each of `count` elements.
std::vector<int> visits(std::int64_t count, std::int64_t grain) {
  std::vector<int> seen(static_cast<std::size_t>(count));
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  return seen;
}

TEST(ParallelFor, VisitsEachElementOnce) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
    for (const std::int64_t grain : {0, 1, 3, 5000}) {
      EXPECT_EQ(visits(count, grain), std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
}

TEST(ParallelFor, LeavesNothingOutWhereFewerThreadsComeThanWereAskedFor) {
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  omp_set_num_threads(4);
  std::vector<int> seen;
#pragma omp teams num_teams(1) thread_limit(1) shared(seen)
  seen = visits(1000, 1);
  omp_set_num_threads(before);
  EXPECT_EQ(seen, std::vector<int>(1000, 1));
#else
  GTEST_SKIP() << "built without OpenMP";
#endif
}

}  // namespace
}  // namespace convoy::on_cpu
