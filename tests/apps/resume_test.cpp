// SPDX-License-Identifier: MIT
// A run that was stopped goes on to the same bytes.
#include <algorithm>

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

TEST(Resume, ASignalSavesAndExits75) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 100000 --output run",
                                 "timeout --preserve-status -s INT 2");
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
