// SPDX-License-Identifier: MIT
// Ranks that disagree, stay silent, leave or never come: an error on every other rank that names
// the one it is due to, soon, and never a hang.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "tests/support/communicators.h"
#include "tests/support/errors.h"

namespace convoy::dist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using testing::expect_says;
using Ranks = std::unique_ptr<Communicator>;

constexpr milliseconds kPatience{400};

// Runs 3 ranks, each to its error, and gives the errors.
std::vector<std::string> three(const std::function<void(Ranks&)>& run) {
  const Clock::time_point begin = Clock::now();
  const auto errors = errors_of_ranks(3, gloo(kPatience), run);
  EXPECT_LT(Clock::now() - begin, kPatience + std::chrono::seconds(2));
  return errors;
}

Tensor ones(std::int64_t count, DType dtype = DType::f32) { return full({count}, 1, {dtype, {}}); }

// Rank 1 asks for something else: it is told so, and the others are.
struct Disagreement {
  const char* name;
  std::function<void(Communicator&)> asked;
  std::function<void(Communicator&)> asked_by_rank_1;
  const char* text;         // to the others
  const char* text_rank_1;  // to rank 1
};
void PrintTo(const Disagreement& what, std::ostream* out) { *out << what.name; }

class Disagree : public ::testing::TestWithParam<Disagreement> {};

TEST_P(Disagree, IsAnErrorThatSaysWhatEachAskedFor) {
  const auto errors = three([](Ranks& ranks) {
    ranks->all_reduce(ones(3)).wait();
    (ranks->rank() == 1 ? GetParam().asked_by_rank_1 : GetParam().asked)(*ranks);
  });
  expect_says(errors[0], GetParam().text);
  expect_says(errors[1], GetParam().text_rank_1);
  expect_says(errors[2], GetParam().text);
}

const auto sum_of_100 = [](Communicator& ranks) { ranks.all_reduce(ones(100)).wait(); };

INSTANTIATE_TEST_SUITE_P(
    Ranks, Disagree,
    ::testing::Values(
        Disagreement{"Count", sum_of_100,
                     [](Communicator& ranks) { ranks.all_reduce(ones(101)).wait(); },
                     "all_reduce 2 of f32 [100]: rank 1 asks for all_reduce 2 of f32 [101]",
                     "all_reduce 2 of f32 [101]: rank 0 asks for all_reduce 2 of f32 [100]"},
        Disagreement{"CountOfNone", sum_of_100,
                     [](Communicator& ranks) { ranks.all_reduce(ones(0)).wait(); },
                     "rank 1 asks for all_reduce 2 of f32 [0]",
                     "all_reduce 2 of f32 [0]: rank 0 asks for all_reduce 2 of f32 [100]"},
        Disagreement{"DType", sum_of_100,
                     [](Communicator& ranks) { ranks.all_reduce(ones(100, DType::bf16)).wait(); },
                     "all_reduce 2 of f32 [100]: rank 1 asks for all_reduce 2 of bf16 [100]",
                     "all_reduce 2 of bf16 [100]: rank 0 asks for all_reduce 2 of f32 [100]"},
        Disagreement{"Order", sum_of_100,
                     [](Communicator& ranks) { ranks.broadcast(ones(100), 0).wait(); },
                     "all_reduce 2 of f32 [100]: rank 1 asks for broadcast 2 of f32 [100] from "
                     "rank 0",
                     "broadcast 2 of f32 [100] from rank 0: rank 0 asks for all_reduce 2 of f32"},
        Disagreement{"Root", [](Communicator& ranks) { ranks.broadcast(ones(5), 0).wait(); },
                     [](Communicator& ranks) { ranks.broadcast(ones(5), 1).wait(); },
                     "rank 1 asks for broadcast 2 of f32 [5] from rank 1",
                     "rank 0 asks for broadcast 2 of f32 [5] from rank 0"},
        Disagreement{"Parts", sum_of_100,
                     [](Communicator& ranks) {
                       const Tensor data = ones(100);
                       ranks.all_reduce(data, data, Partition(100, 3, 64)).wait();
                     },
                     "this rank has parts of 34, rank 1 of 64",
                     "this rank has parts of 64, rank 0 of 34"},
        Disagreement{"OneOperationMore", [](Communicator& ranks) { ranks.barrier(); },
                     [](Communicator& ranks) {
                       const Tensor extra = ones(4);
                       const Work work = ranks.all_reduce(extra);
                       ranks.barrier();
                     },
                     "barrier 2: rank 1 asks for all_reduce 2 of f32 [4]",
                     "barrier 3: rank 0 asks for barrier 2"}),
    [](const auto& what) { return what.param.name; });

TEST(CommunicatorFaults, OneThatLeavesIsNamed) {
  const auto errors = three([](Ranks& ranks) {
    ranks->barrier();
    if (ranks->rank() == 1) return;
    ranks->all_reduce(ones(1000)).wait();
  });
  expect_says(errors[0], "all_reduce 2 of f32 [1000]: rank 1 has closed its communicator");
  EXPECT_EQ(errors[1], "");
  expect_says(errors[2], "all_reduce 2 of f32 [1000]: rank 1 has closed its communicator");
}

TEST(CommunicatorFaults, OneThatIsSilentIsNamedAfterTheTimeout) {
  const auto errors = three([](Ranks& ranks) {
    ranks->barrier();
    const Clock::time_point begin = Clock::now();
    if (ranks->rank() == 1) {
      std::this_thread::sleep_for(kPatience + milliseconds(700));
    }
    try {
      ranks->all_reduce(ones(1000)).wait();
    } catch (const Error&) {
      const bool waited = Clock::now() - begin >= kPatience;
      EXPECT_TRUE(waited || ranks->rank() == 1);
      throw;
    }
  });
  expect_says(errors[0], "all_reduce 2 of f32 [1000]: rank 1 has said nothing for 0.4 s");
  expect_says(errors[1], "rank 1 has said nothing for 0.4 s, says rank 0");
  expect_says(errors[2], "all_reduce 2 of f32 [1000]: rank 1 has said nothing for 0.4 s");
}

// Rank 0 gives up on rank 1 while rank 2 is not even there yet: rank 2 is told whom to blame.
TEST(CommunicatorFaults, OneThatGivesUpIsNotBlamed) {
  const auto errors = three([](Ranks& ranks) {
    ranks->barrier();
    if (ranks->rank() == 1) std::this_thread::sleep_for(kPatience + milliseconds(900));
    if (ranks->rank() == 2) std::this_thread::sleep_for(kPatience + milliseconds(700));
    if (ranks->rank() != 1) ranks->barrier();
  });
  expect_says(errors[0], "barrier 2: rank 1 has said nothing for 0.4 s");
  expect_says(errors[2], "barrier 2: rank 1 has said nothing for 0.4 s, says rank 0");
}

// Rank 0 waits for rank 1, which came later and so still waits for rank 2, the silent one.
TEST(CommunicatorFaults, OneThatWaitsForAnotherIsNotBlamed) {
  const auto errors = three([](Ranks& ranks) {
    ranks->barrier();
    if (ranks->rank() == 2) std::this_thread::sleep_for(kPatience + milliseconds(900));
    if (ranks->rank() == 1) std::this_thread::sleep_for(milliseconds(200));
    if (ranks->rank() != 2) ranks->barrier();
  });
  expect_says(errors[0], "barrier 2: rank 2 has said nothing for 0.4 s");
  expect_says(errors[1], "barrier 2: rank 2 has said nothing for 0.4 s");
}

TEST(CommunicatorFaults, AfterAFailureEveryOperationFailsForItsReason) {
  const auto errors = three([](Ranks& ranks) {
    const Tensor data = ones(ranks->rank() == 1 ? 7 : 8), next = ones(5);
    Work first = ranks->all_reduce(data), second = ranks->all_reduce(next);
    EXPECT_THROW(first.wait(), Error);
    EXPECT_THROW(second.wait(), Error);
    EXPECT_TRUE(second.has_passed());
    EXPECT_THROW(second.wait(), Error) << "as often as it is asked";
    ranks->barrier();
  });
  expect_says(errors[0], "barrier 3: rank 1 asks for all_reduce 1 of f32 [7]");
  expect_says(errors[1], "barrier 3: rank 0 asks for all_reduce 1 of f32 [8]");
  expect_says(errors[2], "barrier 3: rank 1 asks for all_reduce 1 of f32 [7]");
}

// The memory of what was under way may go as soon as the communicator has. Its farewell may be
// stuck behind a message that nobody had the time to take: then the others see the connection's
// end.
TEST(CommunicatorFaults, IsDestroyedWithOperationsUnderWay) {
  for (int repetition = 0; repetition < 5; ++repetition) {
    const auto errors = three([&](Ranks& ranks) {
      const Tensor data = ones(3000000);
      std::vector<Work> work;
      for (int i = 0; i < 3; ++i) work.push_back(ranks->all_reduce(data));
      if (ranks->rank() == 1) {
        std::this_thread::sleep_for(milliseconds(repetition));
        ranks.reset();
        work[2].wait();
      }
      for (Work& each : work) each.wait();
    });
    for (int rank = 0; rank < 3; ++rank) {
      expect_says(errors[rank], "rank 1 has closed ");
    }
  }
}

TEST(CommunicatorFaults, WorkMayBeDropped) {
  const auto errors = three([](Ranks& ranks) {
    for (int i = 0; i < 10; ++i) ranks->all_reduce(ones(10000));
    ranks->barrier();
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

TEST(CommunicatorFaults, OneThatNeverComesIsNamed) {
  const auto make = [](Store& store, int rank, int world_size, const std::string& prefix) -> Ranks {
    if (rank == 1) return single_communicator();
    return gloo(kPatience)(store, rank, world_size, prefix);
  };
  const auto errors = errors_of_ranks(3, make, [](Ranks&) {});
  expect_says(errors[0], "gloo: rank 1 has not come within 0.4 s");
  expect_says(errors[2], "gloo: rank 1 has not come within 0.4 s");
}

// Its addresses are known, but nothing listens there any more. Rank 2 finds rank 0 busy with that.
TEST(CommunicatorFaults, OneThatCameAndWentIsNamed) {
  const auto make = [](Store& store, int rank, int world_size, const std::string& prefix) -> Ranks {
    if (rank != 1) return gloo(kPatience)(store, rank, world_size, prefix);
    std::string addresses;
    while (addresses.empty()) addresses = store.get("test/gloo/0").value_or("");
    store.set("test/gloo/1", addresses);  // of rank 0 itself, which nobody may connect to twice
    return single_communicator();
  };
  const Clock::time_point begin = Clock::now();
  const auto errors = errors_of_ranks(3, make, [](Ranks&) {});
  EXPECT_LT(Clock::now() - begin, kPatience + std::chrono::seconds(2));
  expect_says(errors[0], "gloo: rank 1 cannot be reached within 0.4 s");
  expect_says(errors[2], "gloo: rank 1 cannot be reached within 0.4 s");
}

TEST(CommunicatorFaults, RanksThatExpectOtherNumbersOfRanksAreTold) {
  const auto make = [](Store& store, int rank, int, const std::string& prefix) {
    return gloo(kPatience)(store, rank, rank == 0 ? 3 : 2, prefix);
  };
  const auto errors = errors_of_ranks(2, make, [](Ranks&) {});
  EXPECT_NE(errors[0] + errors[1], "");
}

}  // namespace
}  // namespace convoy::dist
