// SPDX-License-Identifier: MIT
#include "dist/group.h"

#include <gtest/gtest.h>

#include <tuple>

#include "dist/address.h"
#include "dist/socket.h"
#include "kernels/require.h"
#include "runtime/tensor.h"
#include "tests/dist/forked_ranks.h"
#include "tests/dist/on_ranks.h"

namespace convoy::dist {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::expect_says;
using testing::ForkedRanks;

// Ranks in processes, each with a group, over a port of the test's own.
class Ranks {
 public:
  Ranks(
      int world_size, const std::function<void(Group&)>& body,
      std::chrono::milliseconds timeout = 20s, int absent = -1,
      const std::function<void(int rank)>& before = [](int) {})
      : reserved_(reserve_port("127.0.0.1")), ranks_(world_size, [&](int rank) {
          if (rank == absent) return;
          before(rank);
          Group group({.rank = rank,
                       .world_size = world_size,
                       .local_rank = rank,
                       .local_world_size = world_size,
                       .init = "tcp://127.0.0.1:" + std::to_string(port_of(reserved_))},
                      Device{}, {.timeout = timeout});
          group.run([&] { body(group); });
        }) {}
  ForkedRanks* operator->() { return &ranks_; }
  void expect_all_well(int world_size) {
    for (int rank = 0; rank < world_size; ++rank) {
      const auto ended = ranks_.await(rank);
      EXPECT_EQ(ended.code, 0) << rank;
      EXPECT_EQ(ended.err, "") << rank;
    }
  }

 private:
  Socket reserved_;
  ForkedRanks ranks_;
};

TEST(Group, OfOneRankNeedsNobody) {
  Group group({}, Device{});
  EXPECT_EQ(group.world_size(), 1);
  EXPECT_STREQ(group.communicator().name(), "single");
  std::ignore = group.enter("forward", 1);
  group.require_same("model", "resnet20");
  int runs = 0;
  group.run([&] { ++runs; });
  EXPECT_EQ(runs, 1);
}

// Longer than a value of the store, and than the others' timeout.
TEST(Group, GivesAllWhatTheFirstMakes) {
  const auto expected = [](char first) { return first + std::string(150'000, 'x') + "end"; };
  Ranks ranks(
      3,
      [&](Group& group) {
        const auto made = [&](const char* name, char first) {
          return group.made_by_first(name, [&] {
            std::this_thread::sleep_for(group.rank() == 0 ? 2500ms : 0ms);
            return expected(static_cast<char>(first + group.rank()));
          });
        };
        require(made("one", 'a') == expected('a'), "the first text is wrong");
        require(made("two", 'b') == expected('b'), "the second text is wrong");
      },
      2s);
  ranks.expect_all_well(3);
  Group alone({}, Device{});
  EXPECT_EQ(alone.made_by_first("one", [] { return "own"; }), "own");
}

TEST(Group, EndsWhereTheFirstFailsToMake) {
  Ranks ranks(2, [](Group& group) {
    group.made_by_first("one", []() -> std::string { fail("no disk"); });
  });
  EXPECT_NE(ranks->await(0).code, 0);
  const auto other = ranks->await(1);
  EXPECT_EQ(other.code, 1);
  expect_says(other.err, "no disk");
}

TEST(Group, SumsOnTheDeviceAndOnTheHostAtOnce) {
  Ranks ranks(3, [](Group& group) {
    const float mine = static_cast<float>(1 << group.rank());
    const Tensor a = from_vector(std::vector<float>{mine, 2 * mine}, {2});
    const Tensor b = from_vector(std::vector<float>{3 * mine}, {1});
    Work device = group.communicator().all_reduce(a);
    group.host().all_reduce(b).wait();
    device.wait();
    require(to_vector<float>(a) == std::vector<float>{7, 14}, "the device's sum is wrong");
    require(b.item() == 21, "the host's sum is wrong");
  });
  ranks.expect_all_well(3);
}

// On machines of their own, as far as they know, that share a folder alone.
class FarRanks {
 public:
  explicit FarRanks(const std::function<void(Group&)>& body)
      : ranks_(2, [&](int rank) {
          Group group({.rank = rank,
                       .world_size = 2,
                       .init = "file://" + folder_.path().string(),
                       .job = "far"},
                      Device{}, {.timeout = 20s});
          group.run([&] { body(group); });
        }) {}
  ForkedRanks* operator->() { return &ranks_; }

 private:
  testing::TemporaryFolder folder_;
  ForkedRanks ranks_;
};

TEST(Group, OverAFolderRank0SaysWhereItIs) {
  FarRanks ranks([](Group& group) {
    require(group.store().get("group/address") == network_address(), "it has said something else");
    const Tensor data = from_vector(std::vector<float>{1}, {1});
    group.host().all_reduce(data).wait();
    require(data.item() == 2, "the sum is wrong");
  });
  const auto first = ranks->await(0), second = ranks->await(1);
  if (network_address().empty()) {
    expect_says(first.err, "set MASTER_ADDR to its address, or GLOO_SOCKET_IFNAME");
    EXPECT_NE(second.code, 0);
    return;
  }
  EXPECT_EQ(first.err + second.err, "");
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(second.code, 0);
}

TEST(Group, OverAFolderTheInterfaceMayBeNamed) {
  setenv("GLOO_SOCKET_IFNAME", "lo", 1);
  FarRanks ranks([](Group& group) {
    require(!group.store().get("group/address"), "nobody needs to be told");
    group.host().barrier();
  });
  unsetenv("GLOO_SOCKET_IFNAME");
  for (const int rank : {0, 1}) EXPECT_EQ(ranks->await(rank).err, "");
}

TEST(Group, ComparesWhatMustBeTheSameAsOftenAsAsked) {
  Ranks ranks(3, [](Group& group) {
    for (int i = 0; i < 20; ++i) {
      group.require_same("parameters", std::to_string(i / 3));
      group.require_same("step", std::to_string(i));
    }
    group.require_same("nothing", "");
  });
  ranks.expect_all_well(3);
}

TEST(Group, NamesTheRanksThatDifferAndTheKey) {
  Ranks ranks(4, [](Group& group) {
    const int batch = group.rank() % 2 == 1 ? 64 : 32;
    group.require_same("arguments",
                       fmt::format(R"({{"model": "resnet20", "batch-size": {}, "lr": 1}})", batch));
  });
  int said = 0;
  for (int rank = 0; rank < 4; ++rank) {
    const auto ended = ranks->await(rank);
    EXPECT_NE(ended.code, 0);
    expect_says(ended.err,
                "group: expects arguments to be the same on all ranks, but rank 0 has "
                "\"batch-size\": 32 and ranks 1, 3 have \"batch-size\": 64");
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
    said += ended.code == 7 ? 1 : 0;
  }
  EXPECT_GE(said, 1);
}

TEST(Group, NamesWhoHasNotCome) {
  const double start = ForkedRanks::now();
  Ranks ranks(
      3, [](Group&) {}, 1s, /*absent=*/2);
  for (const int rank : {0, 1}) {
    const auto ended = ranks->await(rank);
    EXPECT_NE(ended.code, 0);
    expect_says(ended.err, "expects 3 ranks within 1 s, but rank 2 did not come");
    EXPECT_LT(ended.at, start + 1 + testing::kToEnd);
  }
}

// Its connections break in the middle of a sum: the error names it, not a socket.
TEST(Group, NamesARankThatIsKilledInASum) {
  Ranks ranks(3, [](Group& group) {
    const Tensor data = from_vector(std::vector<float>(1000, 1.0f), {1000});
    for (int step = 0; step < 1000; ++step) {
      std::ignore = group.enter("reduce", step);
      if (group.rank() == 1 && step == 5) {
        std::this_thread::sleep_for(400ms);
        raise(SIGKILL);
      }
      group.communicator().all_reduce(data).wait();
    }
  });
  EXPECT_EQ(ranks->await(1).signal, SIGKILL);
  const double limit = ForkedRanks::now() + testing::kToEnd;
  for (const int rank : {0, 2}) {
    const auto ended = ranks->await(rank);
    EXPECT_EQ(ended.code, 1);
    EXPECT_LT(ended.at, limit);
    EXPECT_EQ(ended.err,
              fmt::format("convoy: rank 1 is gone (killed or crashed), last seen in reduce of step "
                          "5; rank {} stops in reduce of step 5\n",
                          rank));
  }
}

TEST(Group, NamesARankThatStandsStillInASum) {
  Ranks ranks(
      3,
      [](Group& group) {
        const Tensor data = from_vector(std::vector<float>(1000, 1.0f), {1000});
        for (int step = 0; step < 1000; ++step) {
          std::ignore = group.enter("reduce", step);
          if (group.rank() == 0 && step == 5) {
            std::this_thread::sleep_for(400ms);
            raise(SIGSTOP);
          }
          group.communicator().all_reduce(data).wait();
        }
      },
      1500ms);
  for (const int rank : {1, 2}) {
    const auto ended = ranks->await(rank);
    EXPECT_EQ(ended.code, 1);
    expect_says(ended.err,
                "convoy: rank 0 has not been heard of for 1.5 s, last seen in reduce of step 5");
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
  ranks->send(0, SIGKILL);
}

// One more step on some ranks than on others.
TEST(Group, NamesARankThatHasDoneLessThanTheOthers) {
  Ranks ranks(2, [](Group& group) {
    const Tensor data = from_vector(std::vector<float>(10, 1.0f), {10});
    for (int step = 0; step < (group.rank() == 1 ? 3 : 4); ++step) {
      std::ignore = group.enter("reduce", step);
      group.communicator().all_reduce(data).wait();
    }
  });
  EXPECT_EQ(ranks->await(1).code, 0);
  const auto ended = ranks->await(0);
  EXPECT_EQ(ended.code, 7);
  expect_says(ended.err,
              "rank 1 has left, having done all it had to; rank 0 stops in reduce of step 3");
}

// The last one at work may fail of something else than that.
TEST(Group, ARankThatIsLeftAloneStillSaysWhatItsErrorWas) {
  Ranks ranks(2, [](Group& group) {
    if (group.rank() == 1) return;
    std::this_thread::sleep_for(500ms);
    std::ignore = group.enter("saving", 6);
    fail("write model.safetensors: no space");
  });
  EXPECT_EQ(ranks->await(1).code, 0);
  const auto ended = ranks->await(0);
  EXPECT_EQ(ended.code, 7);
  expect_says(ended.err, "rank 0 stops in saving of step 6: write model.safetensors: no space");
}

TEST(Group, AFailureOfARankIsToldWithItsReason) {
  Ranks ranks(3, [](Group& group) {
    if (group.rank() == 2) fail_data("train.pack: expects 10 classes, found 12");
    group.communicator().barrier();
  });
  for (const int rank : {0, 1}) {
    const auto ended = ranks->await(rank);
    EXPECT_EQ(ended.code, 1);
    expect_says(ended.err, "convoy: rank 2 failed: train.pack: expects 10 classes, found 12");
  }
  EXPECT_EQ(ranks->await(2).err, "convoy: train.pack: expects 10 classes, found 12\n");
}

// Its own fault, while the others wait for it: they have its reason, and not a timeout.
TEST(Group, ARankThatCannotListenIsNamedAtOnce) {
  const double start = ForkedRanks::now();
  Ranks ranks(
      3, [](Group&) {}, 20s, /*absent=*/-1,
      [](int rank) {
        if (rank == 1) setenv("GLOO_SOCKET_IFNAME", "none7", 1);
      });
  for (const int rank : {0, 2}) {
    const auto ended = ranks->await(rank);
    EXPECT_EQ(ended.code, 1);
    expect_says(ended.err,
                "convoy: rank 1 failed: GLOO_SOCKET_IFNAME: expects an interface with an address, "
                "found 'none7'");
    EXPECT_LT(ended.at, start + testing::kToEnd);
  }
}

TEST(Group, NamesTwoRanksOnOneGpu) {
  const std::string bus = "0000:17:00.0", other = "0000:65:00.0";
  EXPECT_NO_THROW(require_own_gpus({{"a", bus}, {"a", other}, {"b", bus}, {"b", other}}));
  expect_says(error_of([&] {
                require_own_gpus({{"a", bus}, {"a", other}, {"b", bus}, {"a", other}});
              }),
              "ranks 1 and 3 both use the one at 0000:65:00.0 of a");
}

TEST(Group, SeesWhereTextsDiffer) {
  const struct {
    const char *a, *b, *in_a, *in_b;
  } cases[] = {
      {R"({"a": 1, "b": [1, 2]})", R"({"a": 1, "b": [1, 3]})", R"("b": [1, 2])", R"("b": [1, 3])"},
      {R"({"a": "x"})", R"({"b": "x"})", R"({"a": "x")", R"({"b": "x")"},
      {"0.1.0", "0.2.0", "0.1.0", "0.2.0"},
      {"same", "same and more", "same", "same and more"},
      {"", "text", "its end", "text"},
  };
  for (const auto& c : cases) {
    const Difference found = first_difference(c.a, c.b);
    EXPECT_EQ(found.first, c.in_a);
    EXPECT_EQ(found.second, c.in_b);
  }
}

TEST(Fault, IsReadFromFourParts) {
  EXPECT_FALSE(parse_fault(nullptr));
  EXPECT_FALSE(parse_fault(""));
  const auto fault = parse_fault("2:backward:13:STOP");
  EXPECT_EQ(fault->rank, 2);
  EXPECT_EQ(fault->phase, "backward");
  EXPECT_EQ(fault->step, 13);
  EXPECT_EQ(fault->signal, SIGSTOP);
  EXPECT_EQ(parse_fault("0:optimizer:3:FLIP")->signal, 0);
  for (const char* wrong :
       {"1", "1:a:2", "1:a:2:TERM", "x:a:2:KILL", "1::2:KILL", "1:a:-2:KILL", "1:a:2:KILL:3"}) {
    EXPECT_THROW(parse_fault(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace convoy::dist
