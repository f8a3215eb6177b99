// SPDX-License-Identifier: MIT
#include "dist/partition.h"

#include <gtest/gtest.h>

namespace convoy::dist {
namespace {

TEST(Partition, CoversTheRangeInOrderForEveryCountAndNumberOfRanks) {
  for (const std::int64_t count : {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000}) {
    for (int ranks = 1; ranks <= 9; ++ranks) {
      for (const std::int64_t unit : {1, 8, 64}) {
        const Partition parts(count, ranks, unit);
        std::int64_t end = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const Range own = parts.of(rank);
          EXPECT_EQ(own.begin, end) << count << " " << ranks << " " << unit << " " << rank;
          EXPECT_TRUE(own.begin % unit == 0 || own.count() == 0);
          EXPECT_LE(own.count(), parts.part());
          end = own.end;
        }
        EXPECT_EQ(end, count);
      }
    }
  }
}

TEST(Partition, RefusesWhatIsNoPartition) {
  EXPECT_THROW(Partition(-1, 1), Error);
  EXPECT_THROW(Partition(1, 0), Error);
  EXPECT_THROW(Partition(1, 1, 0), Error);
}

}  // namespace
}  // namespace convoy::dist
