// SPDX-License-Identifier: MIT
// convoy pack, as a user types it.
#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PackProgram, TrainingOnPacksIsTrainingOnTheFolder) {
  const Folder folder;
  make_digits(folder);
  const std::string train_pack = "pack digits --split train --output packs/train.pack";
  const Outcome none = convoy_run(folder, train_pack);
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(has(none.err, "expected a folder that is there")) << none.err;
  fs::create_directories(folder / "packs");
  ASSERT_EQ(convoy_run(folder, train_pack).code, 0);
  const Outcome pack = convoy_run(folder, "pack digits --split val --output packs/val.pack");
  ASSERT_EQ(pack.code, 0) << pack.err;
  EXPECT_TRUE(has(pack.out, "packs/val.pack: 30 images of 10 classes, 0.1 MB")) << pack.out;
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output a").code, 0);
  const std::string flags = kTinyTrain + "--epochs 1 --output b --data-dir packs";
  const Outcome train = convoy_run(folder, flags);
  ASSERT_EQ(train.code, 0) << train.err;
  const std::string model = "/checkpoints/step-00000005/model.safetensors";
  EXPECT_EQ(read_file(folder / ("a" + model)), read_file(folder / ("b" + model)));
  EXPECT_EQ(convoy_run(folder, "eval --checkpoint a --data-dir packs/val.pack").code, 0);
  const Outcome wrong = convoy_run(folder, "eval --checkpoint a --data-dir packs/train.pack");
  EXPECT_EQ(wrong.code, 3);
  EXPECT_TRUE(has(wrong.err, "expected a pack of val, found one of train")) << wrong.err;
}

TEST(PackProgram, ADamagedPackIsBadDataAndNamesTheRecord) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, "pack digits/train --output train.pack").code, 0);
  std::string bytes = read_file(folder / "train.pack");
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  write_file(folder / "train.pack", bytes);
  const Outcome record = convoy_run(folder, "pack train.pack --output again.pack -j 1");
  EXPECT_EQ(record.code, 3);
  EXPECT_TRUE(has(record.err, "train.pack: record 0 (0/00001.jpg) at offset 64")) << record.err;
  write_file(folder / "train.pack", bytes.substr(0, 5000));
  const Outcome cut = convoy_run(folder, "pack train.pack --output third.pack");
  EXPECT_EQ(cut.code, 3);
  EXPECT_TRUE(has(cut.err, "cut off")) << cut.err;
}

TEST(PackProgram, AStoppedRunGoesOnToTheSameBytes) {
  const Folder folder;
  ASSERT_EQ(
      convoy_run(folder, "synth big --train-per-class 40 --val-per-class 1 --img-size 160").code,
      0);
  const std::string pack = "pack big --split train --format jpeg --size 120 -j 1 --output ";
  ASSERT_EQ(convoy_run(folder, pack + "whole.pack").code, 0);
  const auto stopped = [&](const std::string& signal) {
    return run_script(folder, "\"$convoy\" " + pack +
                                  "out.pack >\"$out\" 2>\"$err\" & p=$!; i=0; while [ ! -s "
                                  "out.pack.part ] && [ $i -lt 2000 ]; do sleep 0.005; "
                                  "i=$((i+1)); done; kill -" +
                                  signal + " $p; wait $p");
  };
  const Outcome interrupted = stopped("INT");
  EXPECT_EQ(interrupted.code, 75) << interrupted.err;
  EXPECT_TRUE(has(interrupted.err, "of 400; the same command goes on")) << interrupted.err;
  EXPECT_FALSE(fs::exists(folder / "out.pack"));
  const Outcome rest = convoy_run(folder, pack + "out.pack");
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_TRUE(has(rest.err, "of 400 are there")) << rest.err;
  EXPECT_EQ(read_file(folder / "out.pack"), read_file(folder / "whole.pack"));
  fs::remove(folder / "out.pack");
  EXPECT_NE(stopped("KILL").code, 0);
  EXPECT_FALSE(fs::exists(folder / "out.pack"));
  ASSERT_EQ(convoy_run(folder, pack + "out.pack").code, 0);
  EXPECT_EQ(read_file(folder / "out.pack"), read_file(folder / "whole.pack"));
}

TEST(PackProgram, WhatIsNotClearIsAskedFor) {
  const Folder folder;
  make_digits(folder);
  const auto refused = [&](const std::string& arguments, int code, const std::string& part) {
    const Outcome run = convoy_run(folder, "pack " + arguments);
    EXPECT_EQ(run.code, code) << arguments;
    EXPECT_TRUE(has(run.err, part)) << run.err;
  };
  refused("digits --output x.pack", 2, "--split is needed");
  refused("nothing --output x.pack", 3, "nothing: expected a data set");
  refused("digits/train", 2, "--output is required");
  refused("digits/train --output x.pack --size 9", 2, "--size expects");
  refused("digits/train --output x.pack --format png", 2, "--format");
  refused("digits/train --output x.pack --fromat raw", 2, "did you mean --format?");
}

}  // namespace
}  // namespace convoy::testing
