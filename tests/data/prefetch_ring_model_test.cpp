// SPDX-License-Identifier: MIT
// The ring under every order of steps of two workers and a consumer
// (tests/support/interleavings.h), and each weakened order and dropped check found by it.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/prefetch_ring.h"
#include "tests/support/interleavings.h"

namespace convoy::data {
namespace {

using testing::CheckedValue;
using testing::Program;
using testing::Verdict;

struct Mutant {
  RingSite site;
  std::optional<std::memory_order> order = {};  // none: the check is dropped
  const char* name = "";
};

struct ModelPolicy {
  static inline std::optional<Mutant> mutant;

  template <class T>
  using Atomic = testing::CheckedAtomic<T>;
  static std::memory_order order(RingSite site, std::memory_order written) {
    return mutant && mutant->site == site ? mutant->order.value() : written;
  }
  static bool holds(RingSite site, bool condition) {
    if (!mutant || mutant->site != site) return condition;
    return is_wanted(site);
  }
  // What a dropped check says: most let everything through, the others do nothing.
  static bool is_wanted(RingSite site) {
    return site == RingSite::within || site == RingSite::enter_turn ||
           site == RingSite::count_last || site == RingSite::take_turn;
  }
};
using Ring = PrefetchRing<ModelPolicy>;

struct Scenario {
  const char* name;
  int depth, rows;
  Ring::Count batches;
  // The consumer stops the ring instead of taking this batch: because it fails itself, or because a
  // row before it tells of a worker's error.
  Ring::Count stops_at = ~Ring::Count{0};
  int workers = 2;
};

const Scenario kScenarios[] = {
    {"two laps of one slot", 1, 1, 2},
    {"two slots", 2, 1, 3},
    {"two rows", 1, 2, 2},
    {"two rows of two slots", 2, 2, 2},
    {"no batch", 1, 1, 0},
    {"fewer rows than workers", 2, 1, 1},
    {"stopped at once", 1, 1, 3, 0},
    {"stopped with a slot free", 2, 1, 4, 0},
    {"stopped behind a batch", 1, 1, 3, 1},
    {"stopped in the middle of a batch", 1, 2, 2, 0},
    {"stopped behind a batch of two slots", 2, 1, 4, 1},
};

int value_of(const Ring::Row& row) { return static_cast<int>(row.batch) * 10 + row.row + 1; }

struct Shared {
  explicit Shared(const Scenario& s)
      : ring(s.depth, s.rows, s.batches),
        values(static_cast<std::size_t>(s.depth * s.rows)),
        rows(s.rows) {}
  CheckedValue<int>& at(int slot, int row) {
    return values[static_cast<std::size_t>(slot * rows + row)];
  }
  Ring ring;
  std::vector<CheckedValue<int>> values;
  int rows;
};

void work(Shared& shared, const Scenario& s) {
  while (const auto row = shared.ring.claim()) {
    testing::check(row->batch < s.batches, "a row behind the last");
    shared.at(row->slot, row->row).set(value_of(*row));
    shared.ring.deliver(*row);
  }
}

void consume(Shared& shared, const Scenario& s) {
  Ring::Count next = 0;
  for (; next != s.stops_at; ++next) {
    const auto batch = shared.ring.take();
    if (!batch) break;
    testing::check(batch->batch == next, "a batch out of order");
    for (int r = 0; r < s.rows; ++r) {
      testing::check(shared.at(batch->slot, r).get() == value_of({next, batch->slot, r}),
                     "a row of another lap");
    }
    shared.ring.release(*batch);
  }
  if (next == s.stops_at) {
    shared.ring.stop();
    testing::check(!shared.ring.take(), "a batch behind the stop");
  } else {
    testing::check(next == s.batches, "too few batches");
  }
}

Verdict explore(const Scenario& s) {
  return testing::explore({.preemptions = 2, .most_steps = 500}, [&s] {
    const auto shared = std::make_shared<Shared>(s);
    Program program;
    program.threads.emplace_back([shared, &s] { consume(*shared, s); });
    for (int i = 0; i < s.workers; ++i) {
      program.threads.emplace_back([shared, &s] { work(*shared, s); });
    }
    return program;
  });
}

TEST(PrefetchRingModel, NoOrderOfStepsBreaksIt) {
  std::int64_t executions = 0;
  for (const Scenario& s : kScenarios) {
    SCOPED_TRACE(s.name);
    const Verdict verdict = explore(s);
    EXPECT_EQ(verdict.finding, "") << verdict.steps;
    executions += verdict.executions;
  }
  RecordProperty("executions", std::to_string(executions));
  EXPECT_GT(executions, 10000);
}

constexpr auto kRelaxed = std::memory_order_relaxed;
const Mutant kMutants[] = {
    {RingSite::claim_whole, {}, "ticket read and increment apart"},
    {RingSite::within, {}, "tickets without end"},
    {RingSite::enter_order, kRelaxed, "entry relaxed"},
    {RingSite::enter_turn, {}, "entry in any lap"},
    {RingSite::count_order, kRelaxed, "count relaxed"},
    {RingSite::count_order, std::memory_order_acquire, "count acquires only"},
    {RingSite::count_order, std::memory_order_release, "count releases only"},
    {RingSite::count_last, {}, "every row publishes"},
    {RingSite::refill, {}, "count not set again"},
    {RingSite::publish_order, kRelaxed, "publication relaxed"},
    {RingSite::publish_wake, {}, "publication wakes nobody"},
    {RingSite::take_order, kRelaxed, "taking relaxed"},
    {RingSite::take_turn, {}, "taking in any lap"},
    {RingSite::release_order, kRelaxed, "release relaxed"},
    {RingSite::release_wake, {}, "release wakes nobody"},
    {RingSite::stop_stays, {}, "stopped slots are passed on"},
    {RingSite::stop_seen, {}, "waits do not see the stop"},
    {RingSite::stop_wake, {}, "the stop wakes nobody"},
};

TEST(PrefetchRingModel, EveryMutantIsFound) {
  for (const Mutant& mutant : kMutants) {
    ModelPolicy::mutant = mutant;
    std::string finding;
    for (const Scenario& s : kScenarios) {
      if (finding.empty()) finding = explore(s).finding;
    }
    EXPECT_NE(finding, "") << mutant.name << " survives";
  }
  ModelPolicy::mutant.reset();
}

}  // namespace
}  // namespace convoy::data
