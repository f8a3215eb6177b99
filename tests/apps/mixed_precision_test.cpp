// SPDX-License-Identifier: MIT
// --amp from the command line, on the simulator.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

// Three steps of four images an epoch: a simulated GPU is no fast one.
const std::string kFew =
    "--device sim --batch-size 4 --limit-train-batches 3 --val-batch-size 4 --limit-val-batches 1 ";
const std::string kTinyAmp = kTinyTrain + kFew + "--amp ";

std::vector<json> metrics(const Folder& folder, const std::string& run) {
  std::stringstream lines(read_file(folder / (run + "/metrics.jsonl")));
  std::vector<json> steps;
  for (std::string line; std::getline(lines, line);) steps.push_back(json::parse(line));
  return steps;
}

// 2^90 overflows f16 whatever the gradients are: every step is skipped, and then there is an end.
TEST(MixedPrecision, StepsThatAreAllSkippedEndTheRun) {
  const Folder folder;
  make_digits(folder);
  const Outcome run =
      convoy_run(folder, kTinyAmp +
                             "--loss-scale 1e27 --batch-size 1 --limit-train-batches 70 "
                             "--epochs 2 --output run");
  EXPECT_EQ(run.code, 4) << run.out << run.err;
  EXPECT_NE(run.err.find("50 steps in a row were skipped"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("conv1.weight"), std::string::npos) << run.err;
  const auto steps = metrics(folder, "run");
  ASSERT_EQ(steps.size(), 50u) << "the host learns of the last one steps later";
  EXPECT_EQ(steps.back()["skipped_steps"], 50);
}

// Interrupted in the middle of an epoch, between changes of the scale: the same bytes, and the
// weights in f32 for whoever loads them.
TEST(MixedPrecision, ResumesToTheSameBytes) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyAmp + "--opt adamw --loss-scale-window 2 --epochs 3 --output ";
  ASSERT_EQ(convoy_run(folder, flags + "whole").code, 0);
  ASSERT_EQ(convoy_run(folder, flags + "parts --max-steps 4").code, 0);
  const Outcome rest = convoy_run(folder, flags + "parts --resume auto");
  ASSERT_EQ(rest.code, 0) << rest.err;
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    const std::string path = std::string("/checkpoints/step-00000009/") + file;
    EXPECT_EQ(read_file(folder / ("whole" + path)), read_file(folder / ("parts" + path))) << file;
  }
  const auto steps = metrics(folder, "whole");
  EXPECT_GT(steps.back()["loss_scale"].get<double>(), 65536) << "it has grown";
  EXPECT_EQ(steps.size(), metrics(folder, "parts").size());

  const Outcome other = convoy_run(folder, kTinyTrain +
                                               "--device sim --epochs 4 --opt adamw "
                                               "--output whole --resume auto");
  EXPECT_EQ(other.code, 2) << other.err;
  EXPECT_NE(other.err.find("--amp was float16, is off"), std::string::npos) << other.err;
  const std::string kEval =
      "eval --checkpoint whole --data-dir digits --batch-size 4 --limit-val-batches 1 --json ";
  const Outcome eval = convoy_run(folder, kEval);
  EXPECT_EQ(eval.code, 0) << eval.err;
  const Outcome half =
      convoy_run(folder, kEval + "--device sim --amp --amp-dtype bfloat16 --sim-async late");
  EXPECT_EQ(half.code, 0) << half.err;
  EXPECT_NEAR(json::parse(last_line(half.out))["loss"].get<double>(),
              json::parse(last_line(eval.out))["loss"].get<double>(), 0.05);
}

// The graph is the default; the bytes are those of eager steps, an epoch's incomplete last step
// included.
TEST(MixedPrecision, WithAndWithoutAGraphTheBytesAreTheSame) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyAmp + "--epochs 2 --grad-accum-steps 2 --batch-size 2 " +
                            "--limit-train-batches 5 --clip-grad 1 --sim-async late --output ";
  const Outcome graph = convoy_run(folder, flags + "graph");
  ASSERT_EQ(graph.code, 0) << graph.err;
  ASSERT_EQ(convoy_run(folder, flags + "eager --no-cuda-graph").code, 0);
  EXPECT_TRUE(json::parse(read_file(folder / "graph/args.json"))["cuda_graph"].is_null());
  EXPECT_EQ(json::parse(read_file(folder / "eager/args.json"))["cuda_graph"], false);
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    const std::string path = std::string("/checkpoints/step-00000006/") + file;
    EXPECT_EQ(read_file(folder / ("graph" + path)), read_file(folder / ("eager" + path))) << file;
  }
  const auto with = metrics(folder, "graph"), without = metrics(folder, "eager");
  ASSERT_EQ(with.size(), 6u);
  ASSERT_EQ(without.size(), 6u);
  for (std::size_t i = 0; i < with.size(); ++i) {
    for (const char* key : {"loss", "top1", "lr", "loss_scale"}) {
      EXPECT_EQ(with[i][key], without[i][key]) << i << key;
    }
  }
}

// A skipped step says so in the training line.
TEST(MixedPrecision, SkippedStepsAreShown) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyAmp + "--epochs 1 --loss-scale 1e27 --output run");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("skipped 3"), std::string::npos) << run.out;
}

}  // namespace
}  // namespace convoy::testing
