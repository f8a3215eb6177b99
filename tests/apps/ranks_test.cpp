// SPDX-License-Identifier: MIT
// Runs of several ranks: they train as one would, and what they save goes on at any number of them.
#include "tests/apps/ranks.h"

namespace convoy::testing {
namespace {

TEST(Ranks, TrainAsOneDoes) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = "--global-batch-size 12 --epochs 1 --output ";
  ASSERT_EQ(train_on(folder, 1, flags + "one").code, 0);
  const auto one = steps_of(folder / "one");
  for (const int ranks : {2, 3}) {
    const std::string name = "of" + std::to_string(ranks);
    const Outcome run = train_on(folder, ranks, flags + name);
    ASSERT_EQ(run.code, 0) << run.err;
    const auto steps = steps_of(folder / name);
    ASSERT_EQ(steps.size(), one.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      EXPECT_NEAR(steps[i]["loss"], one[i]["loss"], 1e-4) << i;
      EXPECT_EQ(steps[i]["top1"], one[i]["top1"]) << i;
    }
    // Evaluation counts each held-out image once, and only rank 0 speaks.
    EXPECT_NE(run.out.find("on 30 held-out images"), std::string::npos) << run.out;
    EXPECT_EQ(run.out.find("on 30 held-out images"), run.out.rfind("on 30 held-out images"));
  }
}

// resnet20 makes much of a last digit from one step to the next: small steps keep its losses close.
const std::string kResnet20 = "resnet20 --lr 0.00001 ";

// What is dropped is drawn for the rows of all ranks, of features here and of samples there.
TEST(Ranks, DropWhatOneDoes) {
  const Folder folder;
  make_digits(folder);
  for (const std::string& model :
       {std::string("lenet5 --drop 0.5"), kResnet20 + "--sync-bn --drop-path 0.5"}) {
    const std::string flags =
        "--global-batch-size 12 --max-steps 3 --limit-val-batches 1 --model " + model +
        " --output ";
    fs::remove_all(folder / "one"), fs::remove_all(folder / "two");
    ASSERT_EQ(train_on(folder, 1, flags + "one").code, 0);
    const Outcome run = train_on(folder, 2, flags + "two");
    ASSERT_EQ(run.code, 0) << run.err;
    const auto one = steps_of(folder / "one"), two = steps_of(folder / "two");
    ASSERT_EQ(two.size(), one.size());
    for (std::size_t i = 0; i < two.size(); ++i) {
      EXPECT_NEAR(two[i]["loss"], one[i]["loss"], 1e-4) << model << " " << i;
    }
  }
}

TEST(Ranks, TrainOnTheSimulatorInMixedPrecision) {
  const Folder folder;
  make_digits(folder);
  const std::string flags =
      "--device sim --global-batch-size 6 --limit-val-batches 1 --val-batch-size 4 --output ";
  ASSERT_EQ(train_on(folder, 1, flags + "one --max-steps 2").code, 0);
  ASSERT_EQ(train_on(folder, 3, flags + "three --max-steps 2").code, 0);
  const auto one = steps_of(folder / "one"), three = steps_of(folder / "three");
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(three[i]["loss"], one[i]["loss"], 1e-4);
  for (const std::string stage : {"0", "1"}) {
    const Outcome run = train_on(
        folder, 2,
        flags + "amp" + stage + " --max-steps 2 --amp --clip-grad 1 --zero-stage " + stage);
    ASSERT_EQ(run.code, 0) << run.err;
  }
  expect_same_weights(folder / "amp0", folder / "amp1");
}

TEST(Ranks, BatchNormMayTakeAllRanksRowsTogether) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = "--model " + kResnet20 +
                            "--global-batch-size 12 --max-steps 3 --limit-val-batches 1 --output ";
  ASSERT_EQ(train_on(folder, 1, flags + "one").code, 0);
  const auto one = steps_of(folder / "one");
  for (const std::string bn : {"--sync-bn", "--dist-bn reduce", "--dist-bn broadcast"}) {
    fs::remove_all(folder / "two");
    const Outcome run = train_on(folder, 2, flags + "two " + bn);
    ASSERT_EQ(run.code, 0) << run.err;
    const auto two = steps_of(folder / "two");
    for (std::size_t i = 0; i < one.size(); ++i) {
      const double apart = std::abs(two[i]["loss"].get<double>() - one[i]["loss"].get<double>());
      EXPECT_EQ(apart < 1e-4, bn == "--sync-bn") << bn << " " << i << ": " << apart;
    }
  }
}

// Neighbours are partners: of an even number of rows per rank each has its own here.
TEST(Ranks, MixPicturesAsOneRankWould) {
  const Folder folder;
  make_digits(folder);
  const std::string flags =
      "--mixup 1 --cutmix 1 --global-batch-size 12 --max-steps 6 --limit-val-batches 1 --output ";
  ASSERT_EQ(train_on(folder, 1, flags + "one").code, 0);
  ASSERT_EQ(train_on(folder, 3, flags + "three").code, 0);
  const auto one = steps_of(folder / "one"), three = steps_of(folder / "three");
  ASSERT_EQ(one.size(), 6);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_NEAR(three[i]["loss"], one[i]["loss"], 1e-4) << i;
  }
}

// What rank 0 has timed is what all run: the bytes are those of ranks that were given its table.
TEST(Ranks, ShareTheTableThatTheFirstTimes) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = "--global-batch-size 12 --max-steps 3 --limit-val-batches 1 --output ";
  const Outcome tuned = train_on(folder, 2, flags + "tuned --autotune --tuning-table table.json");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(tuned.out.find("autotune 1/"), std::string::npos) << tuned.out;
  EXPECT_EQ(tuned.out.find("autotune 1/"), tuned.out.rfind("autotune 1/")) << tuned.out;
  // A rank's share of the batch, not all ranks'.
  const std::string table = read_file(folder / "table.json");
  EXPECT_NE(table.find("\"conv2d_forward N6 "), std::string::npos) << table;
  const Outcome given = train_on(folder, 2, flags + "given --tuning-table table.json");
  ASSERT_EQ(given.code, 0) << given.err;
  expect_same_weights(folder / "tuned", folder / "given");
}

// In the order of their beginnings.
std::vector<json> events_of(const fs::path& trace) {
  std::vector<json> events = json::parse(read_file(trace))["traceEvents"];
  std::sort(events.begin(), events.end(), [](const json& a, const json& b) {
    return a["ts"].get<double>() < b["ts"].get<double>();
  });
  return events;
}

// How often in a trace a bucket's sum began after the loss's gradient and before the first layer's.
int sums_inside_backward(const fs::path& trace) {
  int inside = 0, begun = 0;
  bool backward = false;
  for (const json& event : events_of(trace)) {
    const std::string name = event["name"];
    if (name == "cross_entropy") backward = true, begun = 0;
    if (name == "ImageNormalize") backward = false;
    if (name == "all_reduce" && backward) ++begun;
    if (name == "conv2d" && backward) inside += std::exchange(begun, 0);
  }
  return inside;
}

// Where other programs have the cores, the thread that sends may get none in time: a run may miss.
TEST(Ranks, GradientsAreSummedInsideBackward) {
  const Folder folder;
  make_digits(folder);
  int inside = 0;
  for (int run = 0; run < 8 && inside < 3; ++run) {
    fs::remove_all(folder / "run");
    ASSERT_EQ(
        train_on(folder, 2, "--max-steps 4 --bucket-cap-mb 0.05 --output run --profile t.json")
            .code,
        0);
    inside = sums_inside_backward(folder / "t.json");
  }
  EXPECT_GE(inside, 3);
}

// How often in a trace a gather of a bucket was under way between the first layer's beginning and
// the loss.
int gathers_inside_forward(const fs::path& trace) {
  int inside = 0;
  std::vector<double> ends;  // of the gathers since the last loss
  double forward = 0;
  for (const json& event : events_of(trace)) {
    const std::string name = event["name"];
    const double begin = event["ts"];
    if (name == "all_gather") ends.push_back(begin + event["dur"].get<double>());
    if (name == "Conv2dForward" && forward == 0) forward = begin;
    if (name != "CrossEntropyForward") continue;
    inside += static_cast<int>(
        std::count_if(ends.begin(), ends.end(), [&](double end) { return end > forward; }));
    ends.clear(), forward = 0;
  }
  return inside;
}

TEST(Ranks, ParametersAreGatheredInsideForward) {
  const Folder folder;
  make_digits(folder);
  int inside = 0;
  for (int run = 0; run < 8 && inside < 3; ++run) {
    fs::remove_all(folder / "run");
    ASSERT_EQ(train_on(folder, 2,
                       "--zero-stage 1 --max-steps 4 --bucket-cap-mb 0.05 --output run "
                       "--profile t.json")
                  .code,
              0);
    inside = gathers_inside_forward(folder / "t.json");
  }
  EXPECT_GE(inside, 3);
  EXPECT_NE(read_file(folder / "t.json").find("\"await_parameters\""), std::string::npos);
}

TEST(Ranks, ZeroIsPlainDataParallelBitForBit) {
  const Folder folder;
  make_digits(folder);
  for (const int ranks : {2, 3, 4}) {
    for (const std::string opt :
         {"--opt sgd", "--opt sgd --clip-grad 0.5", "--opt adamw --lr 0.001",
          "--opt adamw --lr 0.001 --clip-grad 0.5"}) {
      const std::string flags =
          opt + " --global-batch-size 12 --max-steps 4 --bucket-cap-mb 0.05 --output ";
      fs::remove_all(folder / "plain"), fs::remove_all(folder / "zero");
      ASSERT_EQ(train_on(folder, ranks, flags + "plain").code, 0);
      ASSERT_EQ(train_on(folder, ranks, flags + "zero --zero-stage 1").code, 0);
      expect_same_weights(folder / "plain", folder / "zero");
      const json all = steps_of(folder / "plain").back()["optimizer_bytes"];
      const json own = steps_of(folder / "zero").back()["optimizer_bytes"];
      ASSERT_EQ(own.size(), static_cast<std::size_t>(ranks));
      for (const json& bytes : own) {
        EXPECT_NEAR(bytes.get<double>(), all[0].get<double>() / ranks,
                    0.02 * all[0].get<double>() / ranks);
      }
    }
  }
}

const std::string kEma = "--model-ema --model-ema-decay 0.6 ";

// lenet5 in mixed precision, and running statistics that ranks keep apart or together.
TEST(Ranks, AveragesOfZeroArePlainOnesBitForBit) {
  const Folder folder;
  make_digits(folder);
  for (const std::string& model :
       {std::string("lenet5 --lr 0.01 --clip-grad 0.5 --device sim --amp --val-batch-size 4"),
        kResnet20, kResnet20 + "--sync-bn"}) {
    const std::string flags = kEma +
                              "--global-batch-size 6 --max-steps 3 --bucket-cap-mb 0.05 "
                              "--limit-val-batches 1 --model " +
                              model + " --output ";
    fs::remove_all(folder / "plain"), fs::remove_all(folder / "zero");
    const Outcome plain = train_on(folder, 3, flags + "plain");
    ASSERT_EQ(plain.code, 0) << plain.err;
    const Outcome zero = train_on(folder, 3, flags + "zero --zero-stage 1");
    ASSERT_EQ(zero.code, 0) << zero.err;
    ASSERT_TRUE(fs::exists(newest(folder / "zero") / "model_ema.safetensors"));
    expect_same_weights(folder / "plain", folder / "zero");
    const auto evaluated = [](const std::string& out) {
      return out.substr(out.find("averaged weights: top1"));
    };
    EXPECT_EQ(evaluated(plain.out), evaluated(zero.out));
  }
}

// After the first step averages are what they follow, to the bit where that began at 0 or is near
// 1: running statistics of either kind.
TEST(Ranks, AveragesOfRunningStatisticsAreSharedAsTheseAre) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = train_on(folder, 2,
                               kEma +
                                   "--model resnet20 --lr 0 --global-batch-size 12 --max-steps "
                                   "1 --limit-val-batches 1 --output run");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(read_file(newest(folder / "run") / "model_ema.safetensors"),
            read_file(newest(folder / "run") / "model.safetensors"));
}

TEST(Ranks, ARunGoesOnAtAnotherNumberOfThem) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kEma + "--opt adamw --lr 0.001 --global-batch-size 12 --zero-stage 1 ";
  ASSERT_EQ(train_on(folder, 3, flags + "--max-steps 3 --epochs 2 --output run").code, 0);
  const std::string before = read_file(newest(folder / "run") / "optimizer.safetensors");
  const std::string averages = read_file(newest(folder / "run") / "model_ema.safetensors");
  ASSERT_NE(averages, read_file(newest(folder / "run") / "model.safetensors"));
  // Nothing is left to do: what was loaded is saved again.
  const Outcome again =
      train_on(folder, 2, flags + "--max-steps 3 --epochs 2 --output run --resume auto");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_file(newest(folder / "run") / "optimizer.safetensors"), before);
  EXPECT_EQ(read_file(newest(folder / "run") / "model_ema.safetensors"), averages);
  const Outcome on =
      train_on(folder, 2, flags + "--max-steps 5 --epochs 2 --output run --resume auto");
  ASSERT_EQ(on.code, 0) << on.err;
  const auto steps = steps_of(folder / "run");
  ASSERT_EQ(steps.size(), 5U);
  EXPECT_EQ(steps.back()["step"], 5);
  // With the samples that were due, and with the moments: its losses are those of a whole run.
  ASSERT_EQ(train_on(folder, 3, flags + "--max-steps 5 --epochs 2 --output whole").code, 0);
  const auto whole = steps_of(folder / "whole");
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(steps[i]["loss"], whole[i]["loss"], 1e-4) << i;
}

TEST(Ranks, ARunThatWasStoppedGivesTheBitsOfOneThatWasNot) {
  const Folder folder;
  make_digits(folder);
  for (const std::string opt : {"--opt sgd", "--opt adamw --lr 0.001 --zero-stage 1"}) {
    const std::string flags = kEma + opt + " --global-batch-size 12 --epochs 2 ";
    fs::remove_all(folder / "run"), fs::remove_all(folder / "whole");
    ASSERT_EQ(train_on(folder, 2, flags + "--max-steps 3 --output run").code, 0);
    ASSERT_EQ(train_on(folder, 2, flags + "--max-steps 7 --output run --resume auto").code, 0);
    ASSERT_EQ(train_on(folder, 2, flags + "--max-steps 7 --output whole").code, 0);
    expect_same_weights(folder / "run", folder / "whole");
  }
}

TEST(Ranks, AreRefusedWhatTheyDisagreeOn) {
  const Folder folder;
  make_digits(folder);
  const Outcome run =
      train_on(folder, 2, "--max-steps 2 --output run --lr $(test $r = 0 && echo 0.1 || echo 0.2)");
  EXPECT_NE(run.code, 0);
  EXPECT_NE(run.err.find("configuration to be the same on all ranks"), std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("rank 1 has \"lr\": 0.2"), std::string::npos) << run.err;
  EXPECT_FALSE(fs::exists(folder / "run/metrics.jsonl"));
}

TEST(Ranks, ASizeThatDoesNotDivideIsAUsageError) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = train_on(folder, 2, "--global-batch-size 13 --output run");
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("--global-batch-size expects a multiple of the 2 ranks, found 13"),
            std::string::npos)
      << run.err;
}

}  // namespace
}  // namespace convoy::testing
