// SPDX-License-Identifier: MIT
// What several ranks do where one of them has a fault: its disk, its memory, its life.
#include "tests/apps/ranks.h"

namespace convoy::testing {
namespace {

// Nobody has done all before the last checkpoint is saved; RLIMIT_FSIZE stands for a full disk.
TEST(Ranks, AFullDiskAtTheEndIsNamedByAll) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = run_script(
      folder, "trap '' XFSZ; (ulimit -f 100; \"$convoy\" launch --nproc-per-node 3 -- " +
                  kTinyTrain + "--max-steps 1 --output run 2>&1 >/dev/null) | cat >\"$err\"");
  for (const char* said :
       {"[rank 0] convoy: write run/checkpoints/.step-00000001.partial/model.safetensors: could",
        "[rank 1] convoy: rank 0 failed: write run/checkpoints/",
        "[rank 2] convoy: rank 0 failed: write run/checkpoints/"}) {
    EXPECT_NE(run.err.find(said), std::string::npos) << said << "\n" << run.err;
  }
  EXPECT_EQ(run.err.find("has left"), std::string::npos) << run.err;
}

// Rank 0 waits for them in the forward pass of the epoch's second step.
TEST(Ranks, ARankLostBeforeItsParametersCameIsNamed) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = train_on(folder, 2, "--zero-stage 1 --max-steps 4 --output run",
                               "CONVOY_FAULT='1:gather of parameters:2:KILL'");
  EXPECT_NE(run.code, 0);
  EXPECT_NE(run.err.find("last seen in gather of parameters of step 2; rank 0 stops in gather of "
                         "parameters of step 2"),
            std::string::npos)
      << run.err;
}

// A second of standing still, once it has come to it.
TEST(Ranks, OneThatStandsStillForAWhileChangesNothing) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = "--zero-stage 1 --max-steps 5 --output ";
  const std::string go_on =
      "for i in $(seq 600); do cat $(printf '/proc/%s/stat ' $pids) 2>&1 | grep -c ' T ' >stopped "
      "&& break; sleep 0.1; done; sleep 1; kill -CONT $pids";
  ASSERT_EQ(train_on(folder, 3, flags + "undisturbed").code, 0);
  for (const std::string moment :
       {"1:backward:3", "0:reduce:2", "2:gather of parameters:4", "0:saving:0"}) {
    const Outcome run =
        train_on(folder, 3, flags + "run", "CONVOY_FAULT='" + moment + ":STOP'", go_on);
    EXPECT_EQ(run.code, 0) << moment << run.err;
    EXPECT_EQ(read_file(folder / "stopped"), "1\n") << moment;
    expect_same_weights(folder / "undisturbed", folder / "run");
    fs::remove_all(folder / "run");
  }
}

// Waits until a rank of the launcher $p stands still, tells the launcher to stop, and lets the rank
// go on once the signal has been passed on to it: number 15 is pending.
constexpr const char* kTellWhileOneStands = R"(
  for i in $(seq 1200); do
    for rank in $(cat /proc/$p/task/$p/children); do
      grep -qs '^State:.*T (stopped)' /proc/$rank/status && break 2
    done
    sleep 0.05
  done
  kill -TERM $p
  for i in $(seq 1200); do
    pending=$(sed -n 's/^ShdPnd:[[:space:]]*//p' /proc/$rank/status)
    [ $((0x$pending & 0x4000)) -ne 0 ] && break
    sleep 0.05
  done
  kill -CONT $rank
)";

// While rank 1 stands still in the phase, the job is told to stop. It saves, ends with 75, and goes
// on to the bits of one that was let be.
TEST(Ranks, ASignalInAnyPhaseSavesAndIsNoLoss) {
  const Folder folder;
  make_digits(folder);
  const auto train = [&](const std::string& fault, const std::string& flags) {
    return run_script(folder, "CONVOY_FAULT='" + fault +
                                  "' \"$convoy\" launch --nproc-per-node 2 -- " + kTinyTrain +
                                  "--global-batch-size 16 --epochs 2 --sched plateau " + flags +
                                  " >\"$out\" 2>\"$err\" & p=$!; " +
                                  (fault.empty() ? "" : kTellWhileOneStands) + "wait $p");
  };
  ASSERT_EQ(train("", "--output undisturbed").code, 0);
  // Told to stop in step 4, all agree to after step 5, an epoch's last: it is saved before its
  // evaluation, and once more after it.
  for (const std::string moment : {"load:2", "optimizer:4", "evaluation:0", "saving:0"}) {
    SCOPED_TRACE(moment);
    const Outcome run = train("1:" + moment + ":STOP", "--output run");
    EXPECT_EQ(run.code, 75) << run.out << run.err;
    const int step = std::stoi(newest(folder / "run").filename().string().substr(5));
    if (moment == "evaluation:0") {
      EXPECT_EQ(step, 5) << "it did not end with the evaluation";
    }
    EXPECT_NE(run.out.find("stopped by a signal at step " + std::to_string(step)),
              std::string::npos)
        << step << run.out;
    const Outcome rest = train("", "--output run --resume auto");
    EXPECT_EQ(rest.code, 0) << rest.err;
    expect_same_weights(folder / "undisturbed", folder / "run");
    EXPECT_EQ(read_file(newest(folder / "undisturbed") / "state.json"),
              read_file(newest(folder / "run") / "state.json"));
    EXPECT_EQ(steps_of(folder / "run").size(), 10u);
    const std::string epochs = read_file(folder / "run/summary.csv");
    EXPECT_EQ(std::ranges::count(epochs, '\n'), 3) << epochs;
    fs::remove_all(folder / "run");
  }
}

// The bit of rank 1 flips in step 3; weights are compared after steps 2 and 4, and at the end.
TEST(Ranks, WeightsThatComeApartAreNoticedAtTheNextComparison) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = "--max-steps 7 --check-weight-hash-interval 2 --output ";
  const Outcome run = train_on(folder, 3, flags + "run", "CONVOY_FAULT=1:optimizer:3:FLIP");
  EXPECT_EQ(run.code, 4);
  EXPECT_EQ(steps_of(folder / "run").size(), 3u) << "and the fourth, which is not reported";
  const std::string words = "convoy: weights: rank 1 and the other ranks do not agree on ";
  int told = 0;
  for (auto at = run.err.find(words); at != std::string::npos; at = run.err.find(words, at + 1)) {
    ++told;
  }
  EXPECT_EQ(told, 3) << run.err;
  EXPECT_EQ(newest(folder / "run").filename(), "step-00000002") << "what was saved is good";
  const Outcome well = train_on(folder, 3, flags + "well");
  EXPECT_EQ(well.code, 0) << well.err;
}

// With ZeRO the next gather mends what is not the owner's: a bit that flips after it.
TEST(Ranks, WeightsAreComparedBeforeTheyAreSaved) {
  const Folder folder;
  make_digits(folder);
  for (const std::string flags : {"--zero-stage 1 ", "--device sim --amp --lr 0.01 "}) {
    const Outcome run = train_on(folder, 2, flags + "--max-steps 2 --output run",
                                 "CONVOY_FAULT='0:compare weights:2:FLIP'");
    EXPECT_EQ(run.code, 4) << run.err;
    EXPECT_NE(run.err.find("convoy: weights: the 2 ranks do not agree on "), std::string::npos)
        << run.err;
    EXPECT_FALSE(fs::exists(folder / "run/checkpoints") &&
                 !fs::is_empty(folder / "run/checkpoints"));
    fs::remove_all(folder / "run");
  }
}

}  // namespace
}  // namespace convoy::testing
