// SPDX-License-Identifier: MIT
// The program kbench: verdicts on cpu and sim at tiny shapes, times where there are any, bad use.
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/kbench/command.h"
#include "kernels/vendor/library.h"
#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

Outcome kbench_run(const Folder& folder, const std::string& arguments) {
  return run_script(folder, fmt::format("'{}' {} >\"$out\" 2>\"$err\"",
                                        place("KBENCH_PROGRAM", KBENCH_PROGRAM), arguments));
}

nlohmann::json results_of(const Folder& folder, const std::string& arguments, int code = 0) {
  const Outcome run = kbench_run(folder, arguments + " --json r.json --warmup 1 --repeats 3");
  EXPECT_EQ(run.code, code) << run.out << run.err;
  return nlohmann::json::parse(read_file(folder / "r.json"));
}

TEST(Kbench, GemmIsCheckedOnEveryRungOfTheSimulator) {
  const Folder folder;
  const auto results = results_of(folder, "gemm --device sim --m 65 --n 33 --k 40 --dtype f16,f32");
  std::vector<std::string> variants;
  for (const auto& row : results["rows"]) {
    EXPECT_EQ(row["verdict"], "right") << row;
    EXPECT_EQ(row["compared"], 65 * 33);
    EXPECT_FALSE(row.contains("seconds")) << "the simulator has no timing model";
    if (row["pass"] == "forward" && row["dtype"] == "f16") variants.push_back(row["variant"]);
  }
  EXPECT_GE(variants.size(), 5u);
}

TEST(Kbench, AStarStandsForAnyEndOfAVariantsName) {
  const Folder folder;
  const auto rows =
      results_of(folder, "gemm --device sim --m 9 --n 9 --k 9 --variant 'tensor*'")["rows"];
  ASSERT_FALSE(rows.empty());
  for (const auto& row : rows) EXPECT_EQ(row["variant"], "tensor_core");
}

TEST(Kbench, TuneWritesTheFastestVariantsAndKeepsOthers) {
  const Folder folder;
  const std::string flags = " --device cpu --tuning-table t.json --warmup 1 --repeats 3 ";
  const Outcome first = kbench_run(folder, "tune gemm --m 64 --n 64 --k 64" + flags);
  ASSERT_EQ(first.code, 0) << first.err;
  const std::size_t ops = nlohmann::json::parse(read_file(folder / "t.json"))["variants"].size();
  EXPECT_GE(ops, 1u);
  const Outcome second = kbench_run(folder, "tune conv2d --n 2 --c 8 --h 9 --k 8 --r 3" + flags);
  ASSERT_EQ(second.code, 0) << second.err;
  const auto table = nlohmann::json::parse(read_file(folder / "t.json"));
  EXPECT_GT(table["variants"].size(), ops);
  for (const auto& [key, variant] : table["variants"].items()) {
    EXPECT_TRUE(key.starts_with("gemm M") || key.starts_with("conv2d_")) << key;
    EXPECT_FALSE(variant.get<std::string>().empty());
  }
}

TEST(Kbench, TuneNeedsAFileAndAClock) {
  const Folder folder;
  const std::string sizes = "gemm --m 8 --n 8 --k 8 ";
  EXPECT_EQ(kbench_run(folder, "tune " + sizes + "--device cpu").code, 2);
  EXPECT_EQ(kbench_run(folder, sizes + "--device cpu --tuning-table t.json").code, 2);
  const Outcome sim = kbench_run(folder, "tune " + sizes + "--device sim --tuning-table t.json");
  EXPECT_EQ(sim.code, 2);
  EXPECT_NE(sim.err.find("nothing can be timed on sim"), std::string::npos) << sim.err;
  EXPECT_FALSE(fs::exists(folder / "t.json"));
}

TEST(Kbench, ConvolutionsAreCheckedInEveryPass) {
  const Folder folder;
  for (const char* device : {"cpu --dtype f32", "sim --dtype bf16"}) {
    const auto results = results_of(
        folder,
        std::string("conv2d --n 2 --c 8 --h 7 --w 6 --k 16 --r 3 --stride 2 --device ") + device);
    std::set<std::string> passes;
    for (const auto& row : results["rows"]) {
      EXPECT_EQ(row["verdict"], "right") << row;
      passes.insert(row["pass"]);
    }
    EXPECT_EQ(passes, (std::set<std::string>{"forward", "backward_input", "backward_weight"}));
  }
}

TEST(Kbench, GroupsAndPaddingAreCheckedToo) {
  const Folder folder;
  const auto results = results_of(
      folder, "conv2d --n 1 --c 8 --h 5 --k 16 --r 1 --s 3 --pad 1 --groups 4 --device sim");
  EXPECT_GT(results["rows"].size(), 2u);
}

TEST(Kbench, EveryMemoryBoundKernelIsRightOnCpuAndSim) {
  const Folder folder;
  for (const char* device : {"cpu --count 5000", "sim --count 700 --dtype f16,f32"}) {
    const auto results = results_of(folder, std::string("memory --device ") + device);
    for (const auto& row : results["rows"]) EXPECT_EQ(row["verdict"], "right") << row;
    EXPECT_GE(results["rows"].size(), 11u);
  }
  const auto norms =
      results_of(folder, "batch_norm --n 3 --c 5 --h 4 --device sim --dtype f32,f16");
  EXPECT_EQ(norms["rows"].size(), 4u);
  for (const auto& row : norms["rows"]) EXPECT_EQ(row["verdict"], "right") << row;
}

TEST(Kbench, TimesOnCpuComeWithRatesAndTheShareOfACopy) {
  const Folder folder;
  const auto gemm = results_of(folder, "gemm --device cpu --m 64 --n 64 --k 64 --passes forward");
  const auto& row = gemm["rows"][0];
  EXPECT_GT(row["seconds"], 0.0);
  EXPECT_NEAR(row["gflops"].get<double>(), 2.0 * 64 * 64 * 64 / row["seconds"].get<double>() / 1e9,
              1e-6 * row["gflops"].get<double>());
  EXPECT_EQ(row["repeats"], 3);
  const auto add =
      results_of(folder, "memory --device cpu --passes add --count 2000000 --max-seconds 0.1");
  const double rate = 3 * 4 * 2000000.0 / add["rows"][0]["seconds"].get<double>();
  EXPECT_NEAR(add["rows"][0]["of_copy"].get<double>(),
              rate / add["copy_bytes_per_second"].get<double>(), 1e-6);
  EXPECT_TRUE(add["rows"][0]["cold"]);
  EXPECT_TRUE(add.contains("commit") && add.contains("driver") && add.contains("device"));
}

TEST(Kbench, BadUseIsOneLineAndExitsWithTwo) {
  const Folder folder;
  const std::pair<const char*, const char*> cases[] = {
      {"", "usage: kbench"},
      {"gem --m 3", "did you mean gemm?"},
      {"gemm --device gpu", "--device expects one of"},
      {"gemm --mm 3", "did you mean --m?"},
      {"gemm --m -1 --device cpu", "--m expects 0 or more, found -1"},
      {"gemm --m 9000000000000000000 --device cpu", "fewer than 2^50 elements, found one of 90"},
      {"gemm --m 1000000000 --k 2000000 --device cpu", "found one of 1000000000 x 2000000"},
      {"batch_norm --n 1000000000 --h 1000000 --device cpu", "fewer than 2^50 elements"},
      {"conv2d --n 1000000000 --h 100000 --c 64 --device cpu", "fewer than 2^50 elements"},
      {"conv2d --pad 1000000000000 --device cpu", "fewer than 2^50 elements"},
      {"gemm --dtype f8", "--dtype expects f32, f16 or bf16, found 'f8'"},
      {"gemm --device cpu --dtype f16", "--dtype on cpu expects f32"},
      {"conv2d --shapes vgg", "--shapes expects one of resnet50"},
      {"conv2d --passes sideways", "--passes expects one of forward"},
      {"conv2d --device sim --h 2 --r 5 --pad 0 --c 8", "kernel"},
      {"gemm --device sim --m 8 --n 8 --k 8 --variant wrgmma",
       "tensor_core, warp_tile, wgmma), found wrgmma"},
      {"gemm --device cpu --m 8 --n 8 --k 8 --variant plan,onedn", "onednn, plain), found onedn"},
      {"gemm --device sim --m 8 --n 8 --k 8 --variant 'vend*'", "found vend*"},
      {"gemm --device sim --m 7 --n 9 --k 9 --dtype f32 --variant wgmma",
       "--variant wgmma: it takes none of these problems on sim; they have naive, "},
      {"gemm --shapes square --m 8", "--shapes square is a list of sizes, so --m"},
      {"gemm --shapes square --n 8", "--shapes square is a list of sizes, so --n"},
      {"conv2d --shapes cifar --c 8", "--shapes cifar is a list of sizes, so --c"},
      {"batch_norm --device cpu --n 1 --h 1", "more than one value per channel, found 1"},
      {"tune memory --device cpu --tuning-table t.json", "found memory"},
      {"gemm --repeats 0", "--repeats expects 1 or more"},
      {"gemm --max-seconds -1", "--max-seconds expects 0 or more, found -1"},
      {"gemm --max-total-seconds nan", "--max-total-seconds expects 0 or more, found nan"},
      {"gemm --json nowhere/r.json", "--json expects a file in a folder that can be written to"},
      {"gemm --json pipe", "--json expects a file"},
      {"tune gemm --device cpu --tuning-table nowhere/t.json", "--tuning-table expects a file"},
  };
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const auto& [arguments, text] : cases) {
    const Outcome run = kbench_run(folder, arguments);
    EXPECT_EQ(run.code, 2) << arguments << run.out << run.err;
    EXPECT_NE(run.err.find(text), std::string::npos) << arguments << ": " << run.err;
  }
}

// The ratio to a copy from memory says nothing of a kernel whose operands never leave the caches.
TEST(Kbench, WhatStaysInTheCacheIsNotSetAgainstACopy) {
  const Folder folder;
  const auto results = results_of(folder, "memory --device cpu --passes add,relu --count 1000");
  EXPECT_EQ(results["copy_bytes_per_second"], 0);
  for (const auto& row : results["rows"]) {
    EXPECT_FALSE(row["cold"]);
    EXPECT_FALSE(row.contains("of_copy")) << row;
  }
}
TEST(Kbench, ATableOfLayersTakesABatch) {
  const Folder folder;
  const Outcome run = kbench_run(folder, "conv2d --device sim --shapes cifar --n 2 --list");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("n2 c24 h31 w31 k64"), std::string::npos) << run.out;
}

// The vendor's fastest is what we are measured against; a table is for training.
TEST(Kbench, OnlyTuneKeepsToPlansThatGiveTheSameBits) {
  const Folder folder;
  const std::vector<std::string> flags = {"gemm", "--device", "cpu", "--m", "8", "--list"};
  kbench::run_command(flags);
  EXPECT_TRUE(vendor::nondeterministic_allowed());
  std::vector<std::string> tune = {"tune"};
  tune.insert(tune.end(), flags.begin(), flags.end());
  tune.insert(tune.end(), {"--tuning-table", (folder / "t.json").string()});
  kbench::run_command(tune);
  EXPECT_FALSE(vendor::nondeterministic_allowed());
}

TEST(Kbench, ADamagedTableIsBadData) {
  const Folder folder;
  write_file(folder / "t.json", "{");
  const Outcome run = kbench_run(folder, "tune gemm --m 8 --device cpu --tuning-table t.json");
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_EQ(read_file(folder / "t.json"), "{");
}

// Not even drawn: a batch of 256 is gigabytes, for which the simulator would need hours.
TEST(Kbench, ListDrawsNothing) {
  const Folder folder;
  const auto begin = std::chrono::steady_clock::now();
  const Outcome run = kbench_run(folder, "gemm --device sim --list");
  const std::chrono::duration<double> past = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_LT(past.count(), 20);
}

TEST(Kbench, ListRunsNothing) {
  const Folder folder;
  const Outcome run = kbench_run(folder, "gemm --device sim --m 40 --n 40 --k 40 --list");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("naive, shared_tile"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("right"), std::string::npos) << run.out;
}

// Operands that no machine has: the row says of what, and others are run.
TEST(Kbench, AProblemWithoutMemoryIsAFailedRowOfItsName) {
  const Folder folder;
  const auto results =
      results_of(folder, "gemm --device cpu --m 8,4000000000000 --n 64 --k 64 --passes forward", 1);
  const auto& rows = results["rows"];
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["verdict"], "right");
  const auto& failed = rows[2];
  EXPECT_EQ(failed["verdict"], "failed");
  EXPECT_EQ(failed["op"], "gemm");
  EXPECT_EQ(failed["name"], "axes nt");
  EXPECT_EQ(failed["sizes"]["m"], 4000000000000);
  EXPECT_EQ(failed["chosen"], false);
}

TEST(Kbench, WhatADiskDoesNotTakeIsNoSuccess) {
  const Folder folder;
  const Outcome run = run_script(
      folder, fmt::format("'{}' gemm --device cpu --m 8 --n 8 --k 8 --quiet >/dev/full 2>\"$err\"",
                          place("KBENCH_PROGRAM", KBENCH_PROGRAM)));
  EXPECT_EQ(run.code, 1);
  EXPECT_NE(run.err.find("kbench: standard output could not be written"), std::string::npos)
      << run.err;
}

// It starts itself again with a limit, which its environment has then.
TEST(Kbench, ASecondProgramOnTheMachineDoesNotSlowItDownTenfold) {
  const Folder folder;
  const Outcome run = run_script(
      folder,
      fmt::format(
          "unset OMP_WAIT_POLICY GOMP_SPINCOUNT\n"
          "'{}' gemm --device cpu --m 2048 --n 2048 --k 2048 --dtype f32 >/dev/null 2>&1 &\n"
          "limit() {{ tr '\\0' '\\n' </proc/$!/environ | grep GOMP_SPINCOUNT; }}\n"
          "for i in $(seq 100); do limit >\"$out\" && break; sleep 0.05; done\n"
          "kill $!\n",
          place("KBENCH_PROGRAM", KBENCH_PROGRAM)));
  EXPECT_EQ(run.out, "GOMP_SPINCOUNT=10000\n") << run.err;
}

}  // namespace
}  // namespace convoy::testing
