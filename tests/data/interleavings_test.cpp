// SPDX-License-Identifier: MIT
// The checker of small concurrent programs itself: what the memory model allows is seen, what it
// forbids is not.
#include "tests/support/interleavings.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>

namespace convoy::testing {
namespace {

using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using Atomic = CheckedAtomic<int>;

// Every pair of results that `program(x, y, first, second)` can have.
using Results = std::set<std::pair<int, int>>;
template <class MakeThreads>
Results results_of(MakeThreads make) {
  Results results;
  const Verdict verdict = explore({}, [&] {
    auto x = std::make_shared<Atomic>(0), y = std::make_shared<Atomic>(0);
    auto a = std::make_shared<int>(0), b = std::make_shared<int>(0);
    return Program{make(x, y, a, b), [&results, a, b] { results.insert({*a, *b}); }};
  });
  EXPECT_EQ(verdict.finding, "");
  return results;
}

// One thread writes x, then y; the other reads y, then x.
Results message(std::memory_order write, std::memory_order read) {
  return results_of([=](auto x, auto y, auto a, auto b) {
    return std::vector<std::function<void()>>{
        [=] { x->store(1, memory_order_relaxed), y->store(1, write); },
        [=] { *a = y->load(read), *b = x->load(memory_order_relaxed); }};
  });
}

TEST(Interleavings, AMessageArrivesWithReleaseAndAcquireOnly) {
  EXPECT_EQ(message(memory_order_release, memory_order_acquire), (Results{{0, 0}, {0, 1}, {1, 1}}));
  const Results all = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  EXPECT_EQ(message(memory_order_relaxed, memory_order_acquire), all);
  EXPECT_EQ(message(memory_order_release, memory_order_relaxed), all);
}

TEST(Interleavings, BothStoresMayBeLate) {
  const Results results = results_of([](auto x, auto y, auto a, auto b) {
    return std::vector<std::function<void()>>{
        [=] { x->store(1, memory_order_release), *a = y->load(memory_order_acquire); },
        [=] { y->store(1, memory_order_release), *b = x->load(memory_order_acquire); }};
  });
  EXPECT_EQ(results, (Results{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
}

TEST(Interleavings, NobodySeesAnAtomicGoBack) {
  const Results results = results_of([](auto x, auto, auto a, auto b) {
    return std::vector<std::function<void()>>{
        [=] { x->store(1, memory_order_relaxed), x->store(2, memory_order_relaxed); },
        [=] { *a = x->load(memory_order_relaxed), *b = x->load(memory_order_relaxed); }};
  });
  EXPECT_EQ(results, (Results{{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}}));
}

TEST(Interleavings, AReadModifyWriteIsOneStepAndHandsARelease) {
  const Results counts = results_of([](auto x, auto, auto a, auto b) {
    return std::vector<std::function<void()>>{[=] { *a = x->fetch_add(1, memory_order_relaxed); },
                                              [=] { *b = x->fetch_add(1, memory_order_relaxed); }};
  });
  EXPECT_EQ(counts, (Results{{0, 1}, {1, 0}}));
  // The third thread acquires what the second only counted on.
  const Verdict handed = explore({}, [] {
    auto x = std::make_shared<Atomic>(0);
    auto data = std::make_shared<CheckedValue<int>>();
    return Program{{[=] { data->set(1), x->fetch_add(1, memory_order_release); },
                    [=] { x->fetch_add(1, memory_order_relaxed); },
                    [=] {
                      if (x->load(memory_order_acquire) == 2) check(data->get() == 1, "stale");
                    }}};
  });
  EXPECT_EQ(handed.finding, "") << handed.steps;
}

TEST(Interleavings, TwoReadersMayDisagreeOnTheOrder) {
  bool disagree = false;
  const Verdict verdict = explore({}, [&] {
    auto x = std::make_shared<Atomic>(0), y = std::make_shared<Atomic>(0);
    auto seen = std::make_shared<std::array<int, 4>>();
    const auto read = [seen](auto first, auto second, std::size_t at) {
      return [=] {
        (*seen)[at] = first->load(memory_order_acquire);
        (*seen)[at + 1] = second->load(memory_order_acquire);
      };
    };
    return Program{{[=] { x->store(1, memory_order_release); },
                    [=] { y->store(1, memory_order_release); }, read(x, y, 0), read(y, x, 2)},
                   [&disagree, seen] {
                     disagree |= *seen == std::array{1, 0, 1, 0};
                   }};
  });
  EXPECT_EQ(verdict.finding, "");
  EXPECT_TRUE(disagree);
}

// What explore finds in threads that share two atomics and a plain value.
template <class MakeThreads>
std::string finding_in(MakeThreads make, ExploreOptions options = {}) {
  return explore(options,
                 [&] {
                   return Program{
                       make(std::make_shared<Atomic>(0), std::make_shared<CheckedValue<int>>())};
                 })
      .finding;
}

TEST(Interleavings, RacesAreFoundAndOrderedAccessesAreNot) {
  const auto message = [](std::memory_order write, std::memory_order read) {
    return finding_in([=](auto flag, auto data) {
      return std::vector<std::function<void()>>{[=] { data->set(1), flag->store(1, write); },
                                                [=] {
                                                  if (flag->load(read) == 1)
                                                    data->set(data->get() + 1);
                                                }};
    });
  };
  EXPECT_EQ(message(memory_order_release, memory_order_acquire), "");
  EXPECT_EQ(message(memory_order_relaxed, memory_order_acquire),
            "race: thread 1 reads what thread 0 writes");
  EXPECT_EQ(message(memory_order_release, memory_order_relaxed),
            "race: thread 1 reads what thread 0 writes");
  // A release before the access says nothing of it.
  EXPECT_NE(finding_in([](auto flag, auto data) {
              return std::vector<std::function<void()>>{
                  [=] { flag->store(1, memory_order_release), data->set(1); },
                  [=] {
                    if (flag->load(memory_order_acquire) == 1) data->set(2);
                  }};
            }),
            "");
}

TEST(Interleavings, AWaiterNeedsItsNotification) {
  const auto wait_for_one = [](bool notifies) {
    return finding_in([=](auto flag, auto) {
      return std::vector<std::function<void()>>{[=] {
                                                  flag->store(1, memory_order_release);
                                                  if (notifies) flag->notify_all();
                                                },
                                                [=] { flag->wait(0, memory_order_acquire); }};
    });
  };
  EXPECT_EQ(wait_for_one(true), "");
  EXPECT_EQ(wait_for_one(false), "deadlock: thread 1 waits; ");
}

TEST(Interleavings, EndlessLoopsAndBrokenExpectationsAreFound) {
  EXPECT_EQ(finding_in(
                [](auto flag, auto) {
                  return std::vector<std::function<void()>>{[=] {
                    while (flag->load(memory_order_relaxed) == 0) {
                    }
                  }};
                },
                {.most_steps = 50}),
            "more than 50 steps: an endless loop");
  EXPECT_EQ(finding_in([](auto flag, auto) {
              return std::vector<std::function<void()>>{
                  [=] { flag->store(1, memory_order_relaxed); },
                  [=] { check(flag->load(memory_order_relaxed) == 0, "saw one"); }};
            }),
            "saw one");
}

TEST(Interleavings, PreemptionsAreCounted) {
  const auto change_between_two_steps = [](int preemptions) {
    return finding_in(
        [](auto flag, auto) {
          return std::vector<std::function<void()>>{
              [=] { flag->fetch_add(1, memory_order_acq_rel); },
              [=] {
                const int before = flag->fetch_add(0, memory_order_acq_rel);
                check(flag->fetch_add(0, memory_order_acq_rel) == before, "changed");
              }};
        },
        {.preemptions = preemptions});
  };
  EXPECT_EQ(change_between_two_steps(1), "changed");
  EXPECT_EQ(change_between_two_steps(0), "");
}

}  // namespace
}  // namespace convoy::testing
