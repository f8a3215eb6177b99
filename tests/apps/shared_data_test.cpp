// SPDX-License-Identifier: MIT
// The programs on real data: figures that must be reached, and bits that must repeat.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/apps/shared_data.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

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
  const Outcome run = convoy_run(folder, "train --device sim --dataset mnist --data-dir " +
                                             (kData / "mnist").string() +
                                             " --model lenet5 --max-steps 30 --batch-size 32 --amp "
                                             "--limit-val-batches 1 --output sim");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_LT(mean_loss(folder, 26), mean_loss(folder, 1) - 0.02);
  const Outcome eval = convoy_run(folder, "eval --checkpoint sim --json --limit-val-batches 1 " +
                                              ("--data-dir " + (kData / "mnist").string()));
  ASSERT_EQ(eval.code, 0) << eval.err;
  const json figures = json::parse(last_line(eval.out));
  EXPECT_LT(figures["loss"].get<double>(), std::log(10)) << "the masters load on the cpu";
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

TEST(SharedData, PretrainedResnet20SaysTheSameOnTheSimulator) {
  SKIP_WITHOUT("cifar10");
  SKIP_WITHOUT("pretrained");
  const Folder folder;
  const auto cpu = predictions(folder, "", 4);
  ASSERT_EQ(cpu.size(), 512u);
  EXPECT_EQ(predictions(folder, "--device sim", 4), cpu);
  EXPECT_EQ(changed(predictions(folder, "--device sim --amp", 1), cpu), 0);
}

}  // namespace
}  // namespace convoy::testing
