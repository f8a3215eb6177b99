// SPDX-License-Identifier: MIT
// --kernels, --tuning-table and --autotune.
#include <nlohmann/json.hpp>

#include "apps/trainer/autotune.h"
#include "runtime/device.h"
#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

const std::string kLast = "checkpoints/step-00000005/";

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(read_file(file)); }

TEST(Kernels, AnUnknownFamilyIsAUsageError) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyTrain + "--output run --kernels cublas");
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.err, "convoy: --kernels expects own, vendor or auto, found 'cublas'\n");
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Kernels, VendorWhereThereIsNoneSaysSoInOneLine) {
  const Folder folder;
  make_digits(folder);
  for (const char* device : {"cpu", "sim"}) {
    const Outcome run =
        convoy_run(folder, kTinyTrain + "--output run --kernels vendor --device " + device);
    EXPECT_EQ(run.code, 2);
    EXPECT_EQ(run.err, std::string("convoy: --kernels vendor: ") + device +
                           " has no vendor's kernels, cuda has; take own or auto\n");
    EXPECT_FALSE(fs::exists(folder / "run"));
  }
}

// The step that records the ops, and the timing, leave no trace: with the same table the bytes are
// those of a run that timed nothing.
TEST(Kernels, AutotuneWritesATableAndChangesNothingElse) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 1 --drop 0.2 ";
  const Outcome tuned = convoy_run(folder, flags + "--output tuned --autotune");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(tuned.out.find("autotune 1/"), std::string::npos) << tuned.out;
  const nlohmann::json table = json_of(folder / "tuned/tuning.json");
  EXPECT_EQ(table.at("format_version"), 1);
  EXPECT_FALSE(table.at("variants").empty());
  const nlohmann::json state = json_of(folder / ("tuned/" + kLast + "state.json"));
  EXPECT_EQ(state.at("tuning"), table.at("hash"));
  EXPECT_EQ(state.at("kernels"), "own");

  const Outcome given =
      convoy_run(folder, flags + "--output given --tuning-table tuned/tuning.json");
  ASSERT_EQ(given.code, 0) << given.err;
  EXPECT_EQ(given.out.find("autotune 1/"), std::string::npos) << given.out;
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    EXPECT_EQ(read_file(folder / ("tuned/" + kLast + file)),
              read_file(folder / ("given/" + kLast + file)))
        << file;
  }
}

TEST(Kernels, AutotuneTimesOnlyWhatTheTableDoesNotHave) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 1 --tuning-table table.json --autotune ";
  ASSERT_EQ(convoy_run(folder, flags + "--output first").code, 0);
  const std::string first = read_file(folder / "table.json");
  const Outcome again = convoy_run(folder, flags + "--output second");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out.find("autotune 1/"), std::string::npos) << again.out;
  EXPECT_EQ(read_file(folder / "table.json"), first);
}

TEST(Kernels, NothingIsTimedOnTheSimulator) {
  const Folder folder;
  make_digits(folder);
  const Outcome run = convoy_run(folder, kTinyTrain + "--device sim --autotune --output run");
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("--autotune: nothing can be timed on sim"), std::string::npos) << run.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Kernels, AVariantThatThereIsNotIsSaid) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--max-steps 1 --tuning-table table.json ";
  const Outcome right = convoy_run(folder, flags + "--autotune --output run");
  ASSERT_EQ(right.code, 0) << right.err;
  EXPECT_EQ(right.err.find("left aside"), std::string::npos) << right.err;
  nlohmann::json table = nlohmann::json::parse(read_file(folder / "table.json"));
  const std::string key = table["variants"].begin().key();
  table["variants"][key] = "fastset";
  write_file(folder / "table.json", table.dump());
  const Outcome run = convoy_run(folder, flags + "--output again");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(
      run.err.find("convoy: note: --tuning-table: entries left aside: 1: " + key + " expects "),
      std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("found 'fastset'"), std::string::npos) << run.err;
}

TEST(Kernels, ATableForAnotherDeviceIsRefusedWithTheDifference) {
  const Folder folder;
  make_digits(folder);
  write_file(folder / "other.json",
             R"({"format_version": 1, "device": "NVIDIA H200", "libraries": "none",
                 "variants": {"gemm": "naive"}})");
  const Outcome run = convoy_run(folder, kTinyTrain + "--output run --tuning-table other.json");
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("expected a table for the device here, cpu, "), std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("found one for NVIDIA H200"), std::string::npos) << run.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Kernels, ATableOfOtherLibrariesIsRefusedWhereItNamesTheirVariants) {
  const Folder folder;
  const fs::path file = folder / "table.json";
  const Device cpu;
  nlohmann::json json = {{"format_version", 1},
                         {"device", apps::tuning_device(cpu)},
                         {"libraries", "cublaslt 1.2.3"},
                         {"variants", {{"gemm", "naive"}}}};
  write_file(file, json.dump());
  EXPECT_EQ(apps::read_tuning_table(file, cpu).at("gemm"), "naive");
  json["variants"]["gemm"] = "vendor_2";
  write_file(file, json.dump());
  EXPECT_THROW(apps::read_tuning_table(file, cpu), Error);
  json["libraries"] = apps::tuning_libraries();
  write_file(file, json.dump());
  EXPECT_EQ(apps::read_tuning_table(file, cpu).at("gemm"), "vendor_2");
}

TEST(Kernels, ABrokenTableIsBadDataAndAMissingOneBadUse) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--output run --tuning-table table.json";
  EXPECT_EQ(convoy_run(folder, flags).code, 2);
  for (const char* text :
       {"[]", "{}", R"({"format_version": 2})",
        R"({"format_version": "1", "device": "x", "libraries": "", "variants": {}})",
        R"({"format_version": 1, "device": 3, "libraries": "", "variants": {}})",
        R"({"format_version": 1, "device": "x", "libraries": "", "variants": []})"}) {
    write_file(folder / "table.json", text);
    const Outcome run = convoy_run(folder, flags);
    EXPECT_EQ(run.code, 3) << text;
    EXPECT_NE(run.err.find("table.json: expected a tuning table"), std::string::npos) << run.err;
  }
}

TEST(Kernels, AResumedRunTakesItsOwnTable) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 1 --output run ";
  ASSERT_EQ(convoy_run(folder, flags + "--max-steps 2 --autotune").code, 0);
  const Outcome rest = convoy_run(folder, flags + "--resume auto");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(rest.err.find("bits may differ"), std::string::npos) << rest.err;
  EXPECT_NE(rest.out.find("tuning table of"), std::string::npos) << rest.out;
}

TEST(Kernels, AResumedRunWithAnotherTableSaysSo) {
  const Folder folder;
  make_digits(folder);
  const std::string flags = kTinyTrain + "--epochs 1 --output run ";
  ASSERT_EQ(convoy_run(folder, flags + "--max-steps 2").code, 0);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--max-steps 1 --output other --autotune").code, 0);
  const Outcome rest = convoy_run(folder, flags + "--resume auto --tuning-table other/tuning.json");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("instead of own and none: bits may differ"), std::string::npos)
      << rest.err;
}

TEST(Kernels, EvalTakesATableToo) {
  const Folder folder;
  make_digits(folder);
  ASSERT_EQ(convoy_run(folder, kTinyTrain + "--epochs 1 --output run --autotune").code, 0);
  const std::string flags = "eval --checkpoint run --data-dir digits ";
  EXPECT_EQ(convoy_run(folder, flags + "--kernels auto --tuning-table run/tuning.json").code, 0);
  EXPECT_EQ(convoy_run(folder, flags + "--kernels vendor").code, 2);
  EXPECT_EQ(convoy_run(folder, flags + "--tuning-table none.json").code, 2);
}

// ---- tune ----

std::map<std::string, TunableOp> large_conv() {
  static float somewhere;
  const Conv2dForward op{conv2d_geometry({8, 32, 32, 32}, {32, 3, 3, 32}, {.padding = {1, 1}}),
                         &somewhere, &somewhere, &somewhere, DType::f32};
  return {{tuning_key(op), op}};
}

TEST(Tune, FindsThatPlainLoopsAreSlow) {
  const auto ops = large_conv();
  const TuningTable table = apps::tune(ops, Device{}, {});
  ASSERT_EQ(table.size(), 1u);
  EXPECT_NE(table.begin()->second, "plain");
  EXPECT_GT(apps::time_variant(ops.begin()->second, Device{}, "plain"),
            apps::time_variant(ops.begin()->second, Device{}, table.begin()->second));
}

TEST(Tune, KeepsWhatIsKnown) {
  const auto ops = large_conv();
  const TuningTable known = {{ops.begin()->first, "plain"}, {"another op", "naive"}};
  EXPECT_EQ(apps::tune(ops, Device{}, known), known);
}

TEST(Tune, KnowsTheSimulatorsRungs) {
  static float somewhere;
  const Gemm op =
      dense_gemm(32, 32, 16, &somewhere, false, &somewhere, false, &somewhere, DType::f32);
  const TuningTable table = apps::tune({{tuning_key(op), op}}, {DeviceType::sim}, {});
  ASSERT_EQ(table.size(), 1u);
  EXPECT_GT(apps::time_variant(op, {DeviceType::sim}, "warp_tile"), 0);
  EXPECT_THROW(apps::time_variant(op, {DeviceType::sim}, "winograd"), Error);
}

TEST(Tune, TheHashIsOfKeysAndVariants) {
  EXPECT_EQ(apps::tuning_hash({}), "none");
  const std::string one = apps::tuning_hash({{"a", "b"}});
  EXPECT_EQ(one.size(), 16u);
  EXPECT_EQ(apps::tuning_hash({{"a", "b"}}), one);
  EXPECT_NE(apps::tuning_hash({{"a", "c"}}), one);
  EXPECT_NE(apps::tuning_hash({{"ab", ""}}), one);
  EXPECT_NE(apps::tuning_hash({{"a", "b"}, {"c", "d"}}), one);
}

}  // namespace
}  // namespace convoy::testing
