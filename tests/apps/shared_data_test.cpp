// SPDX-License-Identifier: MIT
// The programs on real data: figures that must be reached, and bits that must repeat.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

const fs::path kData = place("CONVOY_DATA", CONVOY_DATA);

#define SKIP_WITHOUT(folder)       \
  if (!fs::exists(kData / folder)) \
  GTEST_SKIP() << "no real data: " << kData / folder << " is absent (set CONVOY_DATA)"

TEST(SharedData, Lenet5LearnsMnistAndRepeatsItsBytes) {
  SKIP_WITHOUT("mnist");
  const Folder folder;
  const std::string train = "train --dataset mnist --data-dir " + (kData / "mnist").string() +
                            " --model lenet5 --epochs 3 --seed 1 --output ";
  ASSERT_EQ(convoy_run(folder, train + "a").code, 0);
  ASSERT_EQ(convoy_run(folder, train + "b").code, 0);
  const Outcome eval =
      convoy_run(folder, "eval --checkpoint a --json --data-dir " + (kData / "mnist").string());
  const json figures = json::parse(last_line(eval.out));
  EXPECT_EQ(figures["count"], 10000);
  EXPECT_GE(figures["top1"].get<double>(), 98.7);
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"}) {
    const std::string name = std::string("checkpoints/step-00002811/") + file;
    EXPECT_FALSE(read_file(folder / ("a/" + name)).empty()) << file;
    EXPECT_EQ(read_file(folder / ("a/" + name)), read_file(folder / ("b/" + name))) << file;
  }
}

// The mean loss of steps [first, first + 5) in the run's metrics.
double mean_loss(const Folder& folder, int first) {
  std::stringstream lines(read_file(folder / "sim/metrics.jsonl"));
  std::string line;
  double sum = 0;
  for (int step = 1; std::getline(lines, line); ++step) {
    if (step >= first && step < first + 5) sum += json::parse(line)["loss"].get<double>();
  }
  return sum / 5;
}

// The hand-written kernels, from the command line.
TEST(SharedData, Lenet5TrainsOnTheSimulator) {
  SKIP_WITHOUT("mnist");
  const Folder folder;
  const Outcome run = convoy_run(folder, "train --device sim --dataset mnist --data-dir " +
                                             (kData / "mnist").string() +
                                             " --model lenet5 --max-steps 30 --output sim");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_LT(mean_loss(folder, 26), mean_loss(folder, 1) - 0.02);
}

TEST(SharedData, Lenet5TrainsOnTheSimulatorInMixedPrecision) {
  SKIP_WITHOUT("mnist");
  const Folder folder;
  const Outcome run = convoy_run(
      folder, "train --device sim --dataset mnist --data-dir " + (kData / "mnist").string() +
                  " --model lenet5 --max-steps 30 --amp --limit-val-batches 1 --output sim");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_LT(mean_loss(folder, 26), mean_loss(folder, 1) - 0.02);
  const Outcome eval = convoy_run(folder, "eval --checkpoint sim --json --limit-val-batches 1 " +
                                              ("--data-dir " + (kData / "mnist").string()));
  ASSERT_EQ(eval.code, 0) << eval.err;
  const json figures = json::parse(last_line(eval.out));
  EXPECT_LT(figures["loss"].get<double>(), std::log(10)) << "the masters load on the cpu";
}

// The logits [count, 10] that --save-logits wrote: the last bytes of the file.
std::vector<float> read_logits(const std::string& file, std::size_t count) {
  std::vector<float> values(count);
  if (file.size() >= 4 * count) {
    std::memcpy(values.data(), file.data() + file.size() - 4 * count, 4 * count);
  }
  return values;
}

TEST(SharedData, PretrainedResnet20HasTheKnownAccuracyAndLogits) {
  SKIP_WITHOUT("cifar10");
  SKIP_WITHOUT("pretrained");
  const Folder folder;
  const Outcome eval =
      convoy_run(folder,
                 "eval --model resnet20 --dataset cifar10 --mean 0.485,0.456,0.406 --std "
                 "0.229,0.224,0.225 --json --save-logits logits.safetensors --checkpoint " +
                     (kData / "pretrained/resnet20.safetensors").string() + " --data-dir " +
                     (kData / "cifar10").string());
  ASSERT_EQ(eval.code, 0) << eval.err;
  const json figures = json::parse(last_line(eval.out));
  EXPECT_EQ(figures["count"], 10000);
  EXPECT_EQ(figures["correct"], 9173);
  const std::vector<float> found = read_logits(read_file(folder / "logits.safetensors"), 100000);
  const std::vector<float> expected =
      read_logits(read_file(kData / "pretrained/resnet20_test_logits.bin"), 100000);
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
  }
  EXPECT_LT(worst, 1e-3);
}

// What the network says of the first 512 test images.
std::vector<std::size_t> predictions(const Folder& folder, const std::string& flags) {
  const Outcome eval = convoy_run(
      folder,
      "eval --model resnet20 --dataset cifar10 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
      "--batch-size 128 --limit-val-batches 4 --save-logits logits.safetensors --checkpoint " +
          (kData / "pretrained/resnet20.safetensors").string() + " --data-dir " +
          (kData / "cifar10").string() + " " + flags);
  EXPECT_EQ(eval.code, 0) << eval.err;
  const std::vector<float> logits = read_logits(read_file(folder / "logits.safetensors"), 5120);
  std::vector<std::size_t> classes;
  for (auto row = logits.begin(); row < logits.end(); row += 10) {
    classes.push_back(static_cast<std::size_t>(std::max_element(row, row + 10) - row));
  }
  return classes;
}

TEST(SharedData, PretrainedResnet20SaysTheSameOnTheSimulator) {
  SKIP_WITHOUT("cifar10");
  SKIP_WITHOUT("pretrained");
  const Folder folder;
  const auto cpu = predictions(folder, "");
  ASSERT_EQ(cpu.size(), 512u);
  EXPECT_EQ(predictions(folder, "--device sim"), cpu);
  const auto half = predictions(folder, "--device sim --amp");
  int changed = 0;
  for (std::size_t i = 0; i < cpu.size(); ++i) changed += half[i] != cpu[i];
  EXPECT_LE(changed, 512 / 200);
}

}  // namespace
}  // namespace convoy::testing
