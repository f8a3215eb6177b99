// SPDX-License-Identifier: MIT
// What is wrong is told in one line with the right exit code, and nothing is overwritten.
#include <algorithm>

#include "tests/apps/program.h"
#include "tests/support/errors.h"

namespace convoy::testing {
namespace {

// One line on standard error that holds all of `words`.
void expect_error(const Outcome& run, int code, std::initializer_list<const char*> words) {
  EXPECT_EQ(run.code, code) << run.out << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  for (const char* word : words) EXPECT_NE(run.err.find(word), std::string::npos) << run.err;
}

TEST(Errors, AMissingDirectory) {
  const Folder folder;
  expect_error(convoy_run(folder, "train --dataset mnist --data-dir nowhere --output out"), 3,
               {"nowhere"});
  expect_error(convoy_run(folder, "train --dataset image_folder --data-dir nowhere --output out"),
               3, {"nowhere"});
  expect_error(convoy_run(folder, "train --dataset cifar10 --output out"), 2, {"--data-dir"});
  EXPECT_FALSE(fs::exists(folder / "out")) << "nothing is written before all is found good";
}

TEST(Errors, AnEmptyClass) {
  const Folder folder;
  make_digits(folder);
  fs::create_directory(folder / "digits/train/x_empty");
  expect_error(convoy_run(folder, kTinyTrain + "--output out"), 3, {"x_empty"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Errors, AnUnreadableImageIsNamed) {
  const Folder folder;
  make_digits(folder);
  write_file(folder / "digits/train/3/00004.jpg", "no picture");
  expect_error(convoy_run(folder, kTinyTrain + "--epochs 1 --output out"), 3, {"3/00004.jpg"});
  const Outcome skip =
      convoy_run(folder, kTinyTrain + "--epochs 1 --output out --on-bad-image skip");
  EXPECT_EQ(skip.code, 0) << skip.err;
  EXPECT_NE(skip.err.find("1 images could not be read"), std::string::npos) << skip.err;
  EXPECT_NE(skip.err.find("3/00004.jpg"), std::string::npos) << skip.err;
}

TEST(Errors, AnUnknownModelOrDevice) {
  const Folder folder;
  make_digits(folder);
  expect_error(convoy_run(folder, "summary --model resnet19"), 2, {"resnet19", "resnet18"});
  expect_error(convoy_run(folder, kTinyTrain + "--opt sdg"), 2, {"sdg", "sgd"});
  expect_error(convoy_run(folder, kTinyTrain + "--sim-async soon"), 2, {"--sim-async", "late"});
  expect_error(convoy_run(folder, kTinyTrain + "--sim-schedule up"), 2, {"ascending"});
  expect_error(convoy_run(folder, kTinyTrain + "--mean 0.5,0.5"), 2, {"--mean", "3", "2"});
}

TEST(Errors, AugmentationThatIsNotKnown) {
  const Folder folder;
  make_digits(folder);
  for (const char* aa :
       {"auto", "rand-m31", "rand-n0", "rand-n17", "rand-m", "rand-m9n2", "randm9", "rand-x3"}) {
    expect_error(convoy_run(folder, kTinyTrain + "--aa " + aa), 2, {"--aa", "rand-m9-n2", aa});
  }
  expect_error(convoy_run(folder, kTinyTrain + "--color-jitter 0.1 0.2"), 2,
               {"--color-jitter", "1, 3 or 4", "found 2"});
  expect_error(convoy_run(folder, kTinyTrain + "--color-jitter 0.1 0.2 0.3 0.7"), 2,
               {"hue", "0.7"});
  expect_error(convoy_run(folder, kTinyTrain + "--reprob 1.5"), 2, {"--reprob", "1.5"});
  expect_error(convoy_run(folder, kTinyTrain + "--cutout 99999"), 2, {"--cutout"});
}

// Whatever the machine has is hidden.
TEST(Errors, NoGpuIsToldInOneLine) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = run_script(folder, "CUDA_VISIBLE_DEVICES= \"$convoy\" " + kTinyTrain +
                                             "--device cuda --output out >\"$out\" 2>\"$err\"");
  expect_error(run, 2, {"--device cuda: no CUDA device can be used here", "cpu, sim"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Errors, AGraphWhereThereIsNone) {
  const Folder folder;
  make_digits(folder);
  expect_error(convoy_run(folder, kTinyTrain + "--cuda-graph --output out"), 2,
               {"--cuda-graph: cpu has no graphs"});
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(convoy_run(folder, kTinyTrain + "--no-cuda-graph --max-steps 1 --output out").code, 0);
}

TEST(Errors, MixedPrecisionThatCannotBe) {
  const Folder folder;
  make_digits(folder);
  expect_error(convoy_run(folder, kTinyTrain + "--amp --output out"), 2,
               {"--amp", "cpu", "--device sim"});
  expect_error(convoy_run(folder, kTinyTrain + "--amp --amp-dtype float8"), 2,
               {"float16 or bfloat16", "float8"});
  expect_error(convoy_run(folder, kTinyTrain + "--loss-scale -1"), 2, {"--loss-scale"});
  expect_error(convoy_run(folder, kTinyTrain + "--loss-scale-window 0"), 2,
               {"--loss-scale-window"});
  expect_error(convoy_run(folder, kTinyTrain + "--min-loss-scale 0"), 2, {"--min-loss-scale"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Errors, AWrongImageSizeForTheModel) {
  const Folder folder;
  make_digits(folder);
  expect_error(convoy_run(folder, kTinyTrain + "--img-size 40 --output out"), 2,
               {"--img-size", "lenet5", "40 x 40", "28 x 28"});
  EXPECT_FALSE(fs::exists(folder / "out"));
  expect_error(convoy_run(folder, "summary --model lenet5 --img-size 4"), 2, {"--img-size"});
}

TEST(Errors, NumbersOutOfRangeNameTheFlag) {
  const Folder folder;
  make_digits(folder);
  for (const char* flag :
       {"--momentum -3", "--model-ema-decay 1", "--model-ema-decay -0.1", "--weight-decay -1",
        "--opt-betas 2,3", "--clip-grad -1", "--warmup-epochs -1", "--decay-rate 0", "--opt-eps 0",
        "--threads 100000", "--workers 5000", "--img-size 100000", "--seed -1",
        "--decay-milestones 60,30", "--sched multistep", "--batch-size none"}) {
    const std::string name(flag, std::string(flag).find(' '));
    expect_error(convoy_run(folder, kTinyTrain + flag + " --output out"), 2, {name.c_str()});
  }
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(convoy_run(folder, kTinyTrain + "--momentum 0 --max-steps 1 --output out").code, 0);
}

// Whatever is in it: the last would be printed by as many calls inside each other.
TEST(Errors, AConfigurationThatIsNoneIsBadUse) {
  const Folder folder;
  const std::string deep(1'000'000, '['), shut(1'000'000, ']');
  const std::pair<std::string, const char*> cases[] = {
      {"", "--config c.json: is damaged: not JSON"},
      {"[1]", "--config c.json: expected one JSON object"},
      {R"({"lrr": 1})", "--config c.json: unknown key \"lrr\""},
      {R"({"epochs": 1.5})",
       "--config c.json: epochs expects a value of the kind of 10, found 1.5"},
      {R"({"epochs": 1, "epochs": 2})", "c.json: expects each key once, found \"epochs\" twice"},
      {R"({"lr": )" + deep + shut + "}", "c.json: expects values at most 16 deep, found more"},
  };
  for (const auto& [text, error] : cases) {
    write_file(folder / "c.json", text);
    const Outcome run = convoy_run(folder, kTinyTrain + "--config c.json");
    EXPECT_EQ(run.code, 2) << error;
    expect_says(run.err, error);
    EXPECT_LT(run.err.size(), 300);
  }
  EXPECT_EQ(convoy_run(folder, kTinyTrain + "--config none.json").code, 2);
  EXPECT_EQ(convoy_run(folder, kTinyTrain + "--config /dev/zero").code, 2);
}

TEST(Errors, FilesThatCannotBeWrittenAreToldBeforeTheWork) {
  const Folder folder;
  make_digits(folder);
  write_file(folder / "file", "");
  expect_error(convoy_run(folder, kTinyTrain + "--output file"), 2, {"--output", "file"});
  expect_error(convoy_run(folder, kTinyTrain + "--output file/out"), 1, {"--output", "file/out"});
  expect_error(convoy_run(folder, kTinyTrain + "--output out --profile nowhere/trace.json"), 2,
               {"--profile", "nowhere/trace.json"});
  expect_error(convoy_run(folder, kTinyTrain + "--output out --profile /dev/null"), 2,
               {"--profile", "/dev/null"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Errors, AClassWhoseNameIsNoText) {
  const Folder folder;
  make_digits(folder);
  for (const char* split : {"digits/train/", "digits/val/"}) {
    fs::rename(folder / (std::string(split) + "4"), folder / (std::string(split) + "\xff z"));
  }
  expect_error(convoy_run(folder, kTinyTrain + "--output out"), 3, {"UTF-8", "\\xff z"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Errors, AFullStandardOutputIsNoSuccess) {
  const Folder folder;
  EXPECT_EQ(run_script(folder, "\"$convoy\" models >/dev/full 2>\"$err\"").code, 1);
}

// What is printed must not go into the first file that is opened in its place.
TEST(Errors, AClosedStandardOutputIsNoFileOfTheRun) {
  const Folder folder;
  make_digits(folder);
  const Outcome run =
      run_script(folder, "\"$convoy\" " + kTinyTrain + "--max-steps 2 --output run >&- 2>\"$err\"");
  expect_error(run, 1, {"standard output could not be written"});
  const std::string metrics = read_file(folder / "run/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 2) << metrics;
  EXPECT_TRUE(metrics.starts_with("{")) << metrics;
}

TEST(Errors, AnEnvironmentThatIsMisspelt) {
  const Folder folder;
  make_digits(folder);
  for (const char* variable :
       {"CONVOY_ALLOCATOR=exakt", "CONVOY_SYNC=yes", "CONVOY_MULTIPROCESSORS=3x"}) {
    const std::string name(variable, std::string(variable).find('='));
    const Outcome run = run_script(folder, std::string(variable) + " \"$convoy\" " + kTinyTrain +
                                               "--device sim --max-steps 1 --output run "
                                               ">\"$out\" 2>\"$err\"");
    expect_error(run, 2, {name.c_str(), "expects"});
  }
}

class WithCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    make_digits(folder);
    const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 1 --output run");
    ASSERT_EQ(run.code, 0) << run.err;
    checkpoint = folder / "run/checkpoints/step-00000005";
  }
  Folder folder;
  fs::path checkpoint;
};

TEST_F(WithCheckpoint, Truncated) {
  const fs::path file = checkpoint / "model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 100);
  expect_error(
      convoy_run(folder, "eval --checkpoint " + checkpoint.string() + " --data-dir digits"), 3,
      {"model.safetensors", "bytes"});
  expect_error(convoy_run(folder, "eval --model lenet5 --checkpoint " + file.string() +
                                      " --data-dir digits --img-size 28"),
               3, {"model.safetensors"});
}

TEST_F(WithCheckpoint, FlippedBit) {
  std::string bytes = read_file(checkpoint / "optimizer.safetensors");
  bytes[bytes.size() / 2] ^= 1;
  write_file(checkpoint / "optimizer.safetensors", bytes);
  expect_error(
      convoy_run(folder, kTinyTrain + "--epochs 2 --output run --resume " + checkpoint.string()), 3,
      {"optimizer.safetensors", "CRC-32C"});
}

TEST_F(WithCheckpoint, OfAnotherModel) {
  const std::string before = read_file(folder / "run/metrics.jsonl");
  expect_error(convoy_run(folder, "eval --model resnet20 --data-dir digits --checkpoint run"), 2,
               {"lenet5", "resnet20"});
  expect_error(convoy_run(folder,
                          "train --dataset image_folder --data-dir digits --img-size 28 "
                          "--model resnet20 --batch-size 16 --output run --resume auto"),
               2, {"--model was lenet5, is resnet20"});
  expect_error(convoy_run(folder,
                          "train --dataset image_folder --data-dir digits --img-size 28 --model "
                          "resnet20 --batch-size 16 --output run --initial-checkpoint " +
                              (checkpoint / "model.safetensors").string()),
               3, {"model.safetensors"});
  EXPECT_EQ(read_file(folder / "run/metrics.jsonl"), before);
  EXPECT_TRUE(fs::exists(checkpoint / "manifest.json"));
}

TEST_F(WithCheckpoint, NoCheckpointAtAll) {
  expect_error(convoy_run(folder, "eval --checkpoint nothing --data-dir digits"), 3, {"nothing"});
  expect_error(convoy_run(folder, "eval --checkpoint digits --data-dir digits"), 3, {"digits"});
  expect_error(convoy_run(folder, "eval --data-dir digits"), 2, {"--checkpoint"});
  write_file(folder / "file", "text");
  expect_error(convoy_run(folder, kTinyTrain + "--output out --resume file"), 3, {"file"});
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST_F(WithCheckpoint, EvalAndPredictCheckTheirFlags) {
  const std::string eval = "eval --checkpoint run --data-dir digits ";
  for (const char* flag : {"--batch-size 0", "--limit-val-batches -1", "--limit-train-batches -1",
                           "--threads -1", "--workers -1", "--split test", "--img-size 14",
                           "--save-logits nowhere/logits.safetensors"}) {
    const std::string name(flag, std::string(flag).find(' '));
    expect_error(convoy_run(folder, eval + flag), 2, {name.c_str()});
  }
  const std::string predict = "predict digits/val/3/00001.jpg --checkpoint run ";
  expect_error(convoy_run(folder, predict + "--model resnet18"), 2, {"lenet5", "resnet18"});
  expect_error(convoy_run(folder, predict + "--topk 0"), 2, {"--topk"});
}

TEST_F(WithCheckpoint, ADivergedRunSaysSoAndExits4) {
  expect_error(convoy_run(folder, kTinyTrain + "--lr 1e30 --epochs 3 --output diverged"), 4,
               {"loss", "--lr"});
}

}  // namespace
}  // namespace convoy::testing
