// SPDX-License-Identifier: MIT
// Averages of weights through the program: what --model-ema writes, evaluates and goes on with.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

const std::string kEma = "--model-ema --model-ema-decay 0.8 --model-ema-warmup ";
const std::string kFile = "model_ema.safetensors";

fs::path checkpoint(const std::string& run, int step) {
  char name[64];
  std::snprintf(name, sizeof name, "/checkpoints/step-%08d", step);
  return run + name;
}

json eval(const Folder& folder, const std::string& flags) {
  const Outcome run = convoy_run(folder, "eval --data-dir digits --json --checkpoint " + flags);
  EXPECT_EQ(run.code, 0) << run.err;
  return json::parse(run.out);
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells{""};
  for (const char c : line) c == ',' ? cells.emplace_back() : cells.back() += c;
  return cells;
}

TEST(Ema, IsEvaluatedAndSavedBesideTheModel) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--lr 0.1 --epochs 6 --output ";
  const Outcome run = convoy_run(folder, flags + "run " + kEma);
  ASSERT_EQ(run.code, 0) << run.err;
  ASSERT_EQ(convoy_run(folder, flags + "without").code, 0);
  const fs::path last = folder / checkpoint("run", 30).string();
  const fs::path other = folder / checkpoint("without", 30).string();
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    EXPECT_EQ(read_file(last / file), read_file(other / file)) << file;
  }
  EXPECT_FALSE(fs::exists(other / kFile));
  EXPECT_TRUE(json::parse(read_file(last / "manifest.json"))["files"].contains(kFile));

  const json ema = eval(folder, "run --use-ema"), plain = eval(folder, "run");
  const auto cells = cells_of(last_line(read_file(folder / "run/summary.csv")));
  EXPECT_NEAR(std::stod(cells.at(5)), plain["top1"].get<double>(), 1e-3);
  EXPECT_NEAR(std::stod(cells.at(9)), ema["top1"].get<double>(), 1e-3);
  EXPECT_EQ(cells_of(last_line(read_file(folder / "without/summary.csv"))).at(9), "");
  ASSERT_GT(std::abs(ema["loss"].get<double>() - plain["loss"].get<double>()), 1e-3);
  const std::string shown = run.out.substr(run.out.find("averaged weights: top1"));
  EXPECT_NEAR(std::stod(shown.substr(shown.find("loss ") + 5)), ema["loss"].get<double>(), 1e-4);
  // A file of weights like any other.
  const json weights = eval(folder, (last / kFile).string() + " --model lenet5 --img-size 28 " +
                                        "--dataset image_folder --mean 0.485,0.456,0.406 " +
                                        "--std 0.229,0.224,0.225");
  EXPECT_EQ(weights, ema);
}

TEST(Ema, ARunThatWasStoppedGoesOnToTheSameBytes) {
  const Folder folder;
  make_digits(folder);
  for (const std::string& flags :
       {kTinyTrain + "--max-steps 4 --val-interval 9 ",
        kTinyTrain + "--model resnet20 --lr 0.001 --max-steps 4 --limit-val-batches 1 ",
        kTinyTrain + "--device sim --amp --batch-size 4 --limit-val-batches 1 --val-batch-size 2 " +
            "--loss-scale-window 2 --max-steps 4 "}) {
    fs::remove_all(folder / "whole"), fs::remove_all(folder / "parts");
    ASSERT_EQ(convoy_run(folder, flags + kEma + "--output whole").code, 0);
    ASSERT_EQ(convoy_run(folder, flags + kEma + "--output parts --max-steps 2").code, 0);
    const Outcome rest = convoy_run(folder, flags + kEma + "--output parts --resume auto");
    ASSERT_EQ(rest.code, 0) << rest.err;
    for (const std::string& file : {kFile, std::string("model.safetensors")}) {
      EXPECT_EQ(read_file(folder / (checkpoint("whole", 4) / file).string()),
                read_file(folder / (checkpoint("parts", 4) / file).string()))
          << file << " of " << flags;
    }
    EXPECT_NE(read_file(folder / (checkpoint("parts", 2) / kFile).string()),
              read_file(folder / (checkpoint("parts", 4) / kFile).string()));
  }
}

TEST(Ema, MayBeginAndEndWithAnyPartOfARun) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--max-steps 2 --output run").code, 0);
  const Outcome none = convoy_run(folder, "eval --data-dir digits --checkpoint run --use-ema");
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("--use-ema expects a checkpoint of a run with --model-ema"),
            std::string::npos)
      << none.err;
  const std::string on = kTinyTrain + "--output run --resume auto ";
  const Outcome begun = convoy_run(folder, on + "--lr 0 --max-steps 4 " + kEma);
  ASSERT_EQ(begun.code, 0) << begun.err;
  EXPECT_NE(begun.out.find("averages: they begin with its weights"), std::string::npos)
      << begun.out;
  // Weights that no step changed are their own averages.
  const fs::path four = folder / checkpoint("run", 4).string();
  EXPECT_EQ(read_file(four / kFile), read_file(four / "model.safetensors"));
  const Outcome ended = convoy_run(folder, on + "--max-steps 5");
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("averages end here"), std::string::npos) << ended.out;
  EXPECT_FALSE(fs::exists(folder / (checkpoint("run", 5) / kFile).string()));
}

TEST(Ema, ADamagedFileIsFound) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--max-steps 1 --output run " + kEma).code, 0);
  const fs::path file = folder / (checkpoint("run", 1) / kFile).string();
  const std::string from =
      "eval --data-dir digits --checkpoint " + file.parent_path().string() + " --use-ema";
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file(file, bytes);
  const Outcome flipped = convoy_run(folder, from);
  EXPECT_EQ(flipped.code, 3);
  EXPECT_NE(flipped.err.find(kFile + " expects CRC-32C"), std::string::npos) << flipped.err;
  fs::remove(file);
  EXPECT_EQ(convoy_run(folder, from).code, 3);
}

}  // namespace
}  // namespace convoy::testing
