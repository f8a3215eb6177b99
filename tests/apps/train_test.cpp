// SPDX-License-Identifier: MIT
// A run writes what it promises, twice the same, and eval and predict read it.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

TEST(Train, WritesItsFilesExactlyUnderOutput) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 2 --output run");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(json::parse(read_file(folder / "run/args.json"))["batch_size"], 16);
  std::stringstream lines(read_file(folder / "run/metrics.jsonl"));
  std::int64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    const json m = json::parse(line);
    EXPECT_EQ(m["step"], ++step);
    for (const char* key : {"loss", "lr", "images_per_second", "step_ms", "data_ms"}) {
      EXPECT_TRUE(m[key].is_number()) << key;
    }
  }
  EXPECT_EQ(step, 10);
  const std::string summary = read_file(folder / "run/summary.csv");
  EXPECT_EQ(std::count(summary.begin(), summary.end(), '\n'), 3) << summary;
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"}) {
    EXPECT_TRUE(fs::exists(folder / "run/checkpoints/step-00000010" / file)) << file;
  }
}

// What arrives with the steps' reports is each step's own, and the epoch's line is their mean.
TEST(Train, TheEpochsFiguresAreTheMeanOfItsSteps) {
  const Folder folder;
  make_digits(folder);
  for (const char* flags : {"", "--grad-accum-steps 2",
                            "--device sim --batch-size 4 --limit-train-batches 4 "
                            "--limit-val-batches 1 --val-batch-size 4"}) {
    const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 1 --output run " + flags);
    ASSERT_EQ(run.code, 0) << run.err;
    std::stringstream lines(read_file(folder / "run/metrics.jsonl"));
    const std::string summary = read_file(folder / "run/summary.csv");
    double loss = 0, top1 = 0, weights = 0;
    for (std::string line; std::getline(lines, line);) {
      const json m = json::parse(line);
      // With two batches a step the last of five is alone.
      const double weight =
          std::string(flags).find("accum") != std::string::npos && m["step"] < 3 ? 2 : 1;
      loss += weight * m["loss"].get<double>();
      top1 += weight * m["top1"].get<double>();
      weights += weight;
      EXPECT_LT(m["loss"].get<double>(), 4) << "of ten classes, at the start";
    }
    EXPECT_EQ(weights, std::string(flags).find("sim") != std::string::npos ? 4 : 5) << flags;
    std::stringstream row(last_line(summary));
    std::vector<double> cells;
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(std::stod(cell));
    EXPECT_NEAR(cells.at(2), loss / weights, 1e-4) << flags;
    EXPECT_NEAR(cells.at(3), top1 / weights, 1e-2) << flags;
  }
}

TEST(Train, TheSameCommandGivesTheSameBytes) {
  const Folder folder;
  make_digits(folder);
  for (const char* output : {"a", "b"}) {
    const Outcome run =
        convoy_run(folder, kTinyTrain + "--epochs 2 --hflip 0.5 --crop-padding 2 --aa rand-m5-n1 " +
                               "--color-jitter 0.4 --reprob 0.2 --cutout 4 --alternate-flip -j " +
                               (*output == 'a' ? "1" : "3") + " --output " + output);
    ASSERT_EQ(run.code, 0) << run.err;
  }
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"}) {
    const std::string name = std::string("checkpoints/step-00000010/") + file;
    EXPECT_EQ(read_file(folder / ("a/" + name)), read_file(folder / ("b/" + name))) << file;
  }
}

TEST(Train, ImagesThatStayOnTheDeviceChangeNothing) {
  const Folder folder;
  make_digits(folder);
  for (const char* split : {"train", "val"}) {
    const std::string name = split;
    ASSERT_EQ(convoy_run(folder, "pack digits --format raw --size 28 --split " + name +
                                     " --output " + name + ".pack")
                  .code,
              0);
  }
  const std::string flags =
      "train --data-dir . --img-size 28 --scale 1,1 --ratio 1,1 --model lenet5 -b 16 --max-steps 6 "
      "--epochs 2 --crop-padding 2 --hflip 0.5 --output ";
  for (const std::string device : {"cpu", "sim"}) {
    const std::string output = device + " --device " + device;
    ASSERT_EQ(convoy_run(folder, flags + output).code, 0);
    const Outcome run = convoy_run(folder, flags + "resident_" + output + " --resident");
    ASSERT_EQ(run.code, 0) << run.err;
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
      const std::string name = std::string("/checkpoints/step-00000006/") + file;
      EXPECT_EQ(read_file(folder / (device + name)),
                read_file(folder / ("resident_" + device + name)))
          << device << " " << file;
    }
  }
  const auto refused = [&](const std::string& more, const std::string& text) {
    const Outcome run = convoy_run(folder, "train --model lenet5 --resident --output no " + more);
    EXPECT_EQ(run.code, 2);
    EXPECT_NE(run.err.find(text), std::string::npos) << run.err;
  };
  refused("--data-dir digits --img-size 28", "expect to be stored at the size");
  refused("--data-dir . --img-size 28", "found other augmentation");
}

TEST(Train, ARepeatedCommandLosesNothing) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  const std::string before = read_file(folder / "run/metrics.jsonl");
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  EXPECT_EQ(read_file(folder / "run/previous-001/metrics.jsonl"), before);
  EXPECT_TRUE(fs::exists(folder / "run/previous-001/checkpoints/step-00000005"));
}

TEST(Train, LimitsAndHistoryAreKept) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyTrain + "--epochs 4 --limit-train-batches 2 " +
                                             "--limit-val-batches 1 --val-batch-size 7 " +
                                             "--checkpoint-hist 2 --output run");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("on 7 held-out images"), std::string::npos) << run.out;
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/step-00000004"));
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/step-00000006"));
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/step-00000008"));
}

TEST(Train, AConfigFileStandsBetweenPresetAndFlags) {
  const Folder folder;
  make_digits(folder);
  write_file(folder / "c.json",
             R"({"data_dir": "digits", "model": "lenet5", "img_size": 28, "batch_size": 8,
                 "lr": 0.5, "fast_dev_run": true})");
  const Outcome run = convoy_run(folder, "train -c c.json --lr 0.25 --output run");
  ASSERT_EQ(run.code, 0) << run.err;
  const json arguments = json::parse(read_file(folder / "run/args.json"));
  EXPECT_EQ(arguments["dataset"], "image_folder");
  EXPECT_EQ(arguments["batch_size"], 8);
  EXPECT_EQ(arguments["lr"], 0.25);
  EXPECT_EQ(arguments["epochs"], 1);
  const Outcome again = convoy_run(folder, "train -c run/args.json --output again");
  EXPECT_EQ(again.code, 0) << again.err;
  write_file(folder / "bad.json", R"({"bach_size": 8})");
  const Outcome bad = convoy_run(folder, "train -c bad.json");
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find("bach_size"), std::string::npos) << bad.err;
  for (const char* pair : {R"("epochs": 3.7)", R"("epochs": 99999999999)", R"("seed": -1)",
                           R"("lr": "high")", R"("fast_dev_run": 1)", R"("scale": 1)"}) {
    write_file(folder / "bad.json", std::string("{").append(pair).append("}"));
    const Outcome kind = convoy_run(folder, "train --data-dir digits -c bad.json --output out");
    EXPECT_EQ(kind.code, 2) << pair << kind.out;
    EXPECT_NE(kind.err.find("expects a value of the kind of"), std::string::npos) << kind.err;
  }
}

TEST(Train, EveryOptimizerAndScheduleRuns) {
  const Folder folder;
  make_digits(folder);
  for (const char* flags : {"--opt adam --sched step", "--opt adamw --sched poly",
                            "--opt rmsprop --sched onecycle", "--opt lars --sched plateau",
                            "--opt sgd --sched multistep --decay-milestones 1,2 --clip-grad 1 "
                            "--grad-accum-steps 2"}) {
    const Outcome run =
        convoy_run(folder, kTinyTrain + "--lr 0.001 --epochs 1 --output run " + flags);
    EXPECT_EQ(run.code, 0) << flags << "\n" << run.err;
  }
}

TEST(Train, WithoutFusionTheLossesAreTheSame) {
  const Folder folder;
  make_digits(folder);
  const std::string flags =
      "train --dataset image_folder --data-dir digits --img-size 28 --model resnet20 --batch-size "
      "16 --lr 0.01 --epochs 1 --seed 5 ";
  ASSERT_EQ(convoy_run(folder, flags + "--output fused").code, 0);
  ASSERT_EQ(convoy_run(folder, flags + "--output composed --no-fuse").code, 0);
  std::stringstream fused(read_file(folder / "fused/metrics.jsonl"));
  std::stringstream composed(read_file(folder / "composed/metrics.jsonl"));
  for (std::string a, b; std::getline(fused, a) && std::getline(composed, b);) {
    EXPECT_NEAR(json::parse(a)["loss"].get<double>(), json::parse(b)["loss"].get<double>(), 2e-3);
  }
}

TEST(Train, EvalAndPredictReadTheCheckpoint) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  const Outcome eval =
      convoy_run(folder, "eval --checkpoint run --data-dir digits --json --save-logits l.st");
  ASSERT_EQ(eval.code, 0) << eval.err;
  const json figures = json::parse(eval.out);  // progress is not on standard output
  EXPECT_EQ(figures["count"], 30);
  EXPECT_NEAR(figures["top1"].get<double>(), 100.0 * figures["correct"].get<int>() / 30, 1e-3);
  EXPECT_TRUE(fs::exists(folder / "l.st"));
  write_file(folder / "bad.jpg", "no picture");
  const Outcome predict =
      convoy_run(folder, "predict --checkpoint run bad.jpg digits/val/3/00001.jpg --json --topk 2");
  EXPECT_EQ(predict.code, 3);
  EXPECT_NE(predict.err.find("bad.jpg"), std::string::npos);
  const json guess = json::parse(predict.out);
  EXPECT_EQ(guess["file"], "digits/val/3/00001.jpg");
  EXPECT_EQ(guess["predictions"].size(), 2u);
}

TEST(Train, EvalLooksAtEitherSplitAndStopsAtItsLimit) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  const auto count = [&](const std::string& flags) {
    const Outcome run =
        convoy_run(folder, "eval --checkpoint run --data-dir digits --json -b 8 " + flags);
    EXPECT_EQ(run.code, 0) << run.err;
    return json::parse(run.out)["count"].get<int>();
  };
  EXPECT_EQ(count("--limit-train-batches 1"), 30);
  EXPECT_EQ(count("--limit-val-batches 3"), 24);
  EXPECT_EQ(count("--split train --limit-val-batches 1"), 80);
  EXPECT_EQ(count("--split train --limit-train-batches 2"), 16);
}

// A picture that is skipped leaves no row, wherever in a batch it stands.
TEST(Train, LogitsOfSkippedImagesAreLeftOut) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run").code, 0);
  write_file(folder / "digits/val/3/00001.jpg", "no picture");
  const std::string eval = "eval --checkpoint run --data-dir digits --on-bad-image skip ";
  ASSERT_EQ(convoy_run(folder, eval + "--save-logits skipped.st").code, 0);
  fs::remove(folder / "digits/val/3/00001.jpg");
  ASSERT_EQ(convoy_run(folder, eval + "--save-logits absent.st").code, 0);
  EXPECT_EQ(read_file(folder / "skipped.st"), read_file(folder / "absent.st"));
}

TEST(Train, ATraceHoldsASpanPerOp) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--max-steps 2 --output run --profile t.json").code, 0);
  std::map<std::string, int> spans;
  const json trace = json::parse(read_file(folder / "t.json"));
  for (const json& span : trace["traceEvents"]) {
    ++spans[span["name"].get<std::string>()];
    EXPECT_GE(span["dur"].get<double>(), 0);
  }
  EXPECT_GE(spans["conv2d"], 4);  // two layers, two steps
  EXPECT_GE(spans["Conv2dForward"], 4);
  EXPECT_GE(spans["Conv2dBackwardWeight"], 4);
}

}  // namespace
}  // namespace convoy::testing
