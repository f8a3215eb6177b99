// SPDX-License-Identifier: MIT
// Three processes of a job go through the phases of steps without communicating, so that nobody but
// the watch notices a loss; one of them is killed, stopped or fails in a phase of step 3.
#include "dist/health.h"

#include <gtest/gtest.h>

#include <atomic>

#include "dist/socket.h"
#include "kernels/require.h"
#include "tests/dist/forked_ranks.h"
#include "tests/dist/on_ranks.h"

namespace convoy::dist {
namespace {

using namespace std::chrono_literals;
using testing::expect_says;
using testing::ForkedRanks;
using testing::TemporaryFolder;

constexpr int kRanks = 3;
constexpr const char* kPhases[] = {"forward", "backward", "reduce", "optimizer", "saving"};
constexpr std::chrono::milliseconds kTimeout = 1500ms;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Job {
 public:
  explicit Job(bool over_tcp)
      : reserved_(reserve_port("127.0.0.1")),
        init_(over_tcp ? "tcp://127.0.0.1:" + std::to_string(port_of(reserved_))
                       : "file://" + (folder_ / "store").string()) {}

  // Goes through 1000 steps unless told to end; in `phase` of step 3 rank `odd` does as it is told.
  void run(int rank, int odd, const std::string& odd_phase,
           const std::function<void(Health&)>& oddity) const {
    const auto store = open_store({.rank = rank, .world_size = kRanks, .init = init_}, kTimeout);
    Health health(*store, rank, kRanks, {kTimeout, {}, {}});
    for (int step = 0; step < 1000 && !std::filesystem::exists(folder_ / "end"); ++step) {
      for (const char* phase : kPhases) {
        health.enter(phase, step);
        std::this_thread::sleep_for(4ms);
        if (rank == odd && step == 3 && phase == odd_phase) {
          std::this_thread::sleep_for(250ms);  // so that the others have seen it in this phase
          oddity(health);
        }
      }
    }
  }
  void mark(const std::string& name) const {
    testing::write_text(folder_ / (name + ".new"), std::to_string(now()));
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void await_mark(const std::string& name) const {
    while (!std::filesystem::exists(folder_ / name)) std::this_thread::sleep_for(2ms);
  }
  // When the odd one was lost, on the clock that all processes see.
  double lost() const { return std::stod(testing::file_text(folder_ / "lost")); }

 private:
  TemporaryFolder folder_;
  Socket reserved_;
  std::string init_;
};

// All but `odd` say the sentence, once, and nothing else, and end with 1.
void expect_all_others_end(ForkedRanks& ranks, int odd, const std::string& sentence, double limit) {
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == odd) continue;
    const auto ended = ranks.await(rank);
    EXPECT_EQ(ended.code, 1) << rank;
    EXPECT_LT(ended.at, limit) << rank;
    expect_says(ended.err, fmt::format("convoy: {}; rank {} stops in ", sentence, rank));
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
}

struct Loss {
  int rank;
  const char* phase;
  std::string named(const std::string& how) const {
    return fmt::format("rank {} {}, last seen in {} of step 3", rank, how, phase);
  }
};
constexpr Loss kLosses[] = {{0, "backward"}, {1, "saving"}, {2, "forward"}};

// The same happens to each rank, in three jobs side by side.
struct Scene {
  Scene(const Loss& told, bool over_tcp, const std::function<void(const Job&, Health&)>& oddity)
      : loss(told), job(over_tcp), ranks(kRanks, [this, &oddity](int rank) {
          job.run(rank, loss.rank, loss.phase, [&](Health& health) { oddity(job, health); });
        }) {}
  Loss loss;
  Job job;
  ForkedRanks ranks;
};

std::vector<std::unique_ptr<Scene>> on_each_rank(
    bool over_tcp, const std::function<void(const Job&, Health&)>& oddity) {
  std::vector<std::unique_ptr<Scene>> scenes;
  for (const Loss& loss : kLosses) {
    scenes.push_back(std::make_unique<Scene>(loss, over_tcp, oddity));
  }
  return scenes;
}

void killed(const Job& job, Health&) {
  job.mark("lost");
  raise(SIGKILL);
}
void stopped(const Job& job, Health&) {
  job.mark("lost");
  raise(SIGSTOP);
}

TEST(HealthOfRanks, AKilledOneIsNamedAtOnce) {
  for (const auto& scene : on_each_rank(/*over_tcp=*/true, killed)) {
    EXPECT_EQ(scene->ranks.await(scene->loss.rank).signal, SIGKILL);
    expect_all_others_end(scene->ranks, scene->loss.rank,
                          scene->loss.named("is gone (killed or crashed)"),
                          scene->job.lost() + testing::kToEnd);
  }
}

TEST(HealthOfRanks, AStoppedOneIsNamedAfterTheTimeout) {
  for (const auto& scene : on_each_rank(/*over_tcp=*/true, stopped)) {
    scene->job.await_mark("lost");
    expect_all_others_end(scene->ranks, scene->loss.rank,
                          scene->loss.named("has not been heard of for 1.5 s"),
                          scene->job.lost() + 1.5 + testing::kToEnd);
    // It goes on: the others are gone, so it ends too.
    scene->ranks.send(scene->loss.rank, SIGCONT);
    EXPECT_EQ(scene->ranks.await(scene->loss.rank).code, 1);
  }
}

TEST(HealthOfRanks, OneThatGoesOnInTimeIsNotMissed) {
  const auto scenes = on_each_rank(/*over_tcp=*/true, stopped);
  for (const auto& scene : scenes) scene->job.await_mark("lost");
  std::this_thread::sleep_for(700ms);
  for (const auto& scene : scenes) scene->ranks.send(scene->loss.rank, SIGCONT);
  std::this_thread::sleep_for(900ms);
  for (const auto& scene : scenes) {
    scene->job.mark("end");
    for (int rank = 0; rank < kRanks; ++rank) {
      const auto ended = scene->ranks.await(rank);
      EXPECT_EQ(ended.code, 0) << rank;
      EXPECT_EQ(ended.err, "") << rank;
    }
  }
}

TEST(HealthOfRanks, OneThatFailsSaysWhy) {
  const std::string why = "pack: expects 3 channels, found 4";
  for (const auto& scene : on_each_rank(/*over_tcp=*/true, [&](const Job&, Health& health) {
         health.fail(why);
         throw Error(why);
       })) {
    expect_all_others_end(scene->ranks, scene->loss.rank,
                          fmt::format("rank {} failed: {}", scene->loss.rank, why), now() + 20);
    const auto ended = scene->ranks.await(scene->loss.rank);
    EXPECT_EQ(ended.code, 7);
    EXPECT_EQ(ended.err, "convoy: " + why + "\n");
  }
}

TEST(HealthOfRanks, InASharedFolderALostOneIsNamedAfterTheTimeout) {
  for (const auto& scene : on_each_rank(/*over_tcp=*/false, killed)) {
    EXPECT_EQ(scene->ranks.await(scene->loss.rank).signal, SIGKILL);
    expect_all_others_end(scene->ranks, scene->loss.rank,
                          scene->loss.named("has not been heard of for 1.5 s"),
                          scene->job.lost() + 1.5 + testing::kToEnd);
  }
}

TEST(Health, RanksThatEndOneAfterTheOtherMissNobody) {
  const Job job(/*over_tcp=*/true);
  ForkedRanks ranks(kRanks, [&](int rank) {
    job.run(rank, rank, "forward", [&](Health&) {
      std::this_thread::sleep_for(300ms * ((rank + 1) % kRanks));
      if (rank == 1) job.mark("end");
    });
  });
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto ended = ranks.await(rank);
    EXPECT_EQ(ended.code, 0) << rank;
    EXPECT_EQ(ended.err, "") << rank;
  }
}

// One that throws past its Health without a word to it.
TEST(Health, AnExceptionIsAFailure) {
  const Job job(/*over_tcp=*/true);
  ForkedRanks ranks(kRanks, [&](int rank) {
    job.run(rank, 1, "forward", [](Health&) { throw Error("not told"); });
  });
  expect_all_others_end(ranks, 1, "rank 1 failed: it ended with an error", now() + 20);
  EXPECT_EQ(ranks.await(1).err, "convoy: not told\n");
}

// Should a destructor wait for what never comes, the watch ends the process.
TEST(Health, AFailedRankThatDoesNotEndIsEnded) {
  const Job job(/*over_tcp=*/true);
  ForkedRanks ranks(kRanks, [&](int rank) {
    job.run(rank, 0, "forward", [](Health& health) {
      health.fail("stuck");
      std::this_thread::sleep_for(60s);
    });
  });
  const auto ended = ranks.await(0);
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.err, "convoy: stuck\n");
}

// Within one process, with what ends it replaced.
TEST(Health, BlameGivesWhatTheWatchFinds) {
  const auto store = memory_store();
  store->set("health/1", "7 0 12 backward\n");
  std::string said;
  Health health(*store, 0, 2, {100ms, [&](const std::string& text) { said = text; }, [] {}});
  health.enter("reduce", 12);
  const auto sentence = health.blame();
  ASSERT_TRUE(sentence.has_value());
  EXPECT_EQ(*sentence, said);
  EXPECT_EQ(said,
            "rank 1 has not been heard of for 0.1 s, last seen in backward of step 12; rank 0 "
            "stops in reduce of step 12");
}

TEST(Health, BlameNamesWhoHasLeftElseNobody) {
  const auto store = memory_store();
  Health health(*store, 0, 3, {20s, {}, {}});
  std::atomic<bool> over = false;
  std::jthread beats([&] {
    for (int i = 0; !over; ++i) {
      store->set("health/1", fmt::format("{} 0 12 backward\n", i));
      std::this_thread::sleep_for(10ms);
    }
  });
  EXPECT_EQ(health.blame(), std::nullopt);
  store->set("health/2", "7 1 12 saving\n");
  health.enter("forward", 13);
  EXPECT_EQ(health.blame(),
            "rank 2 has left, having done all it had to; rank 0 stops in forward of step 13");
  over = true;
}

// Over a shared folder a death is not seen at once, but a beat is missed long before the timeout.
TEST(Health, BlameNamesWhoHasToldNothingMeanwhile) {
  const auto store = memory_store();
  store->set("health/1", "7 0 12 backward\n");
  Health health(*store, 0, 2, {20s, {}, {}});
  health.enter("reduce", 12);
  EXPECT_EQ(health.blame(),
            "rank 1 has not been heard of for 1.5 s, last seen in backward of step 12; rank 0 "
            "stops in reduce of step 12");
  EXPECT_EQ(store->get("health/lost"),
            "rank 1 has not been heard of for 1.5 s, last seen in backward of step 12");
}

}  // namespace
}  // namespace convoy::dist
