// SPDX-License-Identifier: MIT
// A run that was stopped goes on to the same bytes.
#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

const std::string kModel = "checkpoints/step-00000015/model.safetensors";

TEST(Resume, FromTheMiddleOfAnEpochGivesTheSameBytes) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 3 --crop-padding 2 --opt adamw ";
  ASSERT_EQ(convoy_run(folder, flags + "--output whole").code, 0);
  ASSERT_EQ(convoy_run(folder, flags + "--output parts --max-steps 7").code, 0);
  const Outcome rest = convoy_run(folder, flags + "--output parts --resume auto");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.out.find("at step 7"), std::string::npos) << rest.out;
  EXPECT_EQ(read_file(folder / ("whole/" + kModel)), read_file(folder / ("parts/" + kModel)));
  const std::string metrics = read_file(folder / "parts/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 15) << metrics;
}

// Killed at any moment, later each time so that it comes to an end. From the first milliseconds on:
// on a quiet machine the whole run takes some eighty.
TEST(Resume, ARunThatIsKilledAgainAndAgainGivesTheSameBytes) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 3 --checkpoint-hist 1 --opt adamw ";
  ASSERT_EQ(convoy_run(folder, flags + "--output whole").code, 0);
  int killed = 0;
  for (int ms = 10; killed < 100; ms += ms / 6) {
    const Outcome run =
        run_script(folder, "timeout -s KILL " + std::to_string(ms / 1000.0) + " \"$convoy\" " +
                               flags + "--output parts --resume auto >\"$out\" 2>\"$err\"");
    if (run.code == 0) break;
    ASSERT_EQ(run.code, 128 + SIGKILL) << run.err;
    ++killed;
  }
  EXPECT_GE(killed, 3);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    const std::string path = std::string("checkpoints/step-00000015/") + file;
    EXPECT_EQ(read_file(folder / ("whole/" + path)), read_file(folder / ("parts/" + path))) << file;
  }
  const std::string metrics = read_file(folder / "parts/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 15) << metrics;
}

TEST(Resume, AFinishedRunHasNothingLeft) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  const Outcome again = convoy_run(folder, kTinyTrain + "--epochs 1 --output run --resume auto");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("nothing is left to train"), std::string::npos) << again.out;
}

TEST(Resume, PassesOverADamagedCheckpointAndSaysSo) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 2 --output run").code, 0);
  fs::remove(folder / "run/checkpoints/step-00000010/state.json");
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 3 --output run --resume auto");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.err.find("step-00000010 is damaged"), std::string::npos) << run.err;
  EXPECT_NE(run.out.find("at step 5"), std::string::npos) << run.out;
  EXPECT_TRUE(fs::exists(folder / ("run/" + kModel)));
}

// Keeping one checkpoint must keep the one that was just written, not a later one of abandoned
// work.
TEST(Resume, FromAnEarlierCheckpointSetsTheLaterOnesAside) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 2 --output run").code, 0);
  const Outcome again =
      convoy_run(folder, kTinyTrain +
                             "--epochs 2 --max-steps 7 --checkpoint-hist 1 --output run "
                             "--resume run/checkpoints/step-00000005");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/step-00000007/manifest.json")) << again.out;
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/step-00000010"));
  EXPECT_TRUE(fs::exists(folder / "run/previous-001/checkpoints/step-00000010/manifest.json"));
}

TEST(Resume, IntoTheFolderOfAnotherRunSetsThatAside) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output first").code, 0);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 2 --output second").code, 0);
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 2 --output second --resume first");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(fs::exists(folder / "second/previous-001/checkpoints/step-00000010"));
  EXPECT_TRUE(fs::exists(folder / "second/previous-001/metrics.jsonl"));
  EXPECT_TRUE(fs::exists(folder / "second/checkpoints/step-00000010/manifest.json"));
  EXPECT_FALSE(fs::exists(folder / "second/checkpoints/step-00000005"));
}

// A run that was killed while it wrote its first checkpoint starts again.
TEST(Resume, AutoWithoutAnyCheckpointStartsAnew) {
  const Folder folder;
  make_digits(folder);
  fs::create_directories(folder / "run/checkpoints/.step-00000005.partial");
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 1 --output run --resume auto");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/step-00000005/manifest.json"));
}

TEST(Resume, RefusesOtherInputAndNamesIt) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  const Outcome mean =
      convoy_run(folder, kTinyTrain + "--epochs 2 --output run --resume auto --mean 0.5");
  EXPECT_EQ(mean.code, 2) << mean.err;
  EXPECT_NE(mean.err.find("--mean was 0.485,0.456,0.406, is 0.5,0.5,0.5"), std::string::npos)
      << mean.err;
  for (const char* split : {"train", "val"}) {
    fs::rename(folder / ("digits/" + std::string(split) + "/4"),
               folder / ("digits/" + std::string(split) + "/four"));
  }
  const Outcome names = convoy_run(folder, kTinyTrain + "--epochs 2 --output run --resume auto");
  EXPECT_EQ(names.code, 2) << names.err;
  EXPECT_NE(names.err.find("classes have other names"), std::string::npos) << names.err;
}

nlohmann::json newest_plateau(const fs::path& run) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    newest = std::max(newest, entry.path());
  }
  return nlohmann::json::parse(read_file(newest / "state.json")).at("plateau");
}

// A second interruption comes before the next evaluation has told the state anew.
TEST(Resume, ThePlateauOutlivesTwoInterruptions) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--sched plateau --decay-epochs 1 --lr 1e-9 --output run ";
  ASSERT_EQ(convoy_run(folder, flags + "--epochs 4").code, 0);
  const nlohmann::json before = newest_plateau(folder / "run");
  ASSERT_LT(before.at("factor").get<double>(), 1) << before;
  const Outcome stopped =
      convoy_interrupted(folder, flags + "--epochs 100000 --val-interval 100000 --resume auto", 23);
  ASSERT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_EQ(newest_plateau(folder / "run"), before);
}

TEST(Resume, ASignalSavesAndExits75) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_interrupted(folder, kTinyTrain + "--epochs 100000 --output run", 3);
  EXPECT_EQ(run.code, 75) << run.out << run.err;
  const std::string metrics = read_file(folder / "run/metrics.jsonl");
  const auto steps = std::count(metrics.begin(), metrics.end(), '\n');
  char name[64];
  std::snprintf(name, sizeof name, "run/checkpoints/step-%08ld/manifest.json",
                static_cast<long>(steps));
  EXPECT_TRUE(fs::exists(folder / name)) << name;
}

}  // namespace
}  // namespace convoy::testing
