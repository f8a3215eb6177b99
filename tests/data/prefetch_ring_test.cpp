// SPDX-License-Identifier: MIT
// The ring with real threads: order and contents for every number of workers and slots, stops in
// all states. Under ThreadSanitizer these are the runs that would show a race
// (scripts/sanitize.sh); prefetch_ring_model_test.cpp goes through all orders of steps.
#include "data/prefetch_ring.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace convoy::data {
namespace {

using Ring = PrefetchRing<>;
using Count = Ring::Count;

// Slots of plain numbers: what a row should hold is its ticket.
struct Numbers {
  Numbers(int depth, int rows_of_batch, Count batches)
      : ring(depth, rows_of_batch, batches),
        of_slot(static_cast<std::size_t>(depth * rows_of_batch)),
        rows(rows_of_batch) {}

  void work() {
    while (const auto row = ring.claim()) {
      at(row->slot, row->row) = ticket(row->batch, row->row);
      ring.deliver(*row);
    }
  }
  Count& at(int slot, int row) { return of_slot[static_cast<std::size_t>(slot * rows + row)]; }
  Count ticket(Count batch, int row) const {
    return batch * static_cast<Count>(rows) + static_cast<Count>(row);
  }
  // Takes up to `most` batches; counts those that are as they should be.
  Count consume(Count most) {
    Count good = 0;
    while (good < most) {
      const auto batch = ring.take();
      if (!batch) break;
      bool right = batch->batch == good;
      for (int r = 0; r < rows; ++r) right &= at(batch->slot, r) == ticket(good, r);
      if (!right) break;
      ++good;
      ring.release(*batch);
    }
    return good;
  }

  Ring ring;
  std::vector<Count> of_slot;
  int rows;
};

std::vector<std::jthread> start(Numbers& numbers, int workers) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < workers; ++i) threads.emplace_back([&numbers] { numbers.work(); });
  return threads;
}

TEST(PrefetchRing, BatchesComeInOrderWhateverTheThreads) {
  constexpr Count kItems = 100000;
  for (const int workers : {1, 2, 4}) {
    for (const int depth : {1, 2, 4}) {
      for (const int rows : {1, 8}) {
        SCOPED_TRACE(testing::Message()
                     << workers << " workers, " << depth << " slots of " << rows);
        const Count batches = kItems / 18 / static_cast<Count>(rows) + 1;
        Numbers numbers(depth, rows, batches);
        const auto threads = start(numbers, workers);
        EXPECT_EQ(numbers.consume(batches + 1), batches);
      }
    }
  }
}

TEST(PrefetchRing, AHundredThousandItems) {
  Numbers numbers(4, 1, 100000);
  const auto threads = start(numbers, 4);
  EXPECT_EQ(numbers.consume(100001), Count{100000});
}

TEST(PrefetchRing, NothingToDo) {
  Numbers numbers(2, 3, 0);
  const auto threads = start(numbers, 3);
  EXPECT_FALSE(numbers.ring.take());
}

// Behind any number of batches, with workers filling, waiting and gone.
TEST(PrefetchRing, StopsInEveryState) {
  for (int round = 0; round < 200; ++round) {
    const auto taken = static_cast<Count>(round % 7);
    Numbers numbers(1 + round % 3, 1 + round % 4, 6);
    const auto threads = start(numbers, 1 + round % 5);
    EXPECT_EQ(numbers.consume(taken), taken);
    numbers.ring.stop();
    EXPECT_EQ(numbers.consume(1), Count{0}) << "a batch behind the stop";
    numbers.ring.stop();
  }
}

// Batches may be given back in another order than they came.
TEST(PrefetchRing, BatchesMayBeHeld) {
  Numbers numbers(3, 2, 30);
  const auto threads = start(numbers, 2);
  for (int i = 0; i < 10; ++i) {
    const auto a = numbers.ring.take(), b = numbers.ring.take(), c = numbers.ring.take();
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(numbers.at(c->slot, 1), numbers.ticket(c->batch, 1));
    EXPECT_EQ(numbers.at(a->slot, 0), numbers.ticket(a->batch, 0));
    numbers.ring.release(*b), numbers.ring.release(*c), numbers.ring.release(*a);
  }
  EXPECT_FALSE(numbers.ring.take());
}

}  // namespace
}  // namespace convoy::data
