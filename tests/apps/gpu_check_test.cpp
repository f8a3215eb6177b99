// SPDX-License-Identifier: MIT
// scripts/gpu_check.sh: a rehearsal without a GPU, and programs that fail or hang.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

std::string script() { return place("CONVOY_GPU_CHECK", CONVOY_GPU_CHECK); }

Outcome gpu_check(const Folder& folder, const std::string& arguments) {
  const fs::path programs = fs::path(place("CONVOY_PROGRAM", CONVOY_PROGRAM)).parent_path();
  return run_script(folder, fmt::format("'{}' --programs '{}' {} >\"$out\" 2>\"$err\"", script(),
                                        programs.string(), arguments));
}

nlohmann::json stage(const Folder& folder, const std::string& name) {
  return nlohmann::json::parse(read_file(folder / ("results/" + name + ".json")));
}
bool is_good(const nlohmann::json& result) {
  return result["verdict"].get<std::string>().starts_with("good");
}

TEST(GpuCheck, ARehearsalOnCpuLeavesAFileForEachStage) {
  const Folder folder;
  const Outcome run = gpu_check(folder,
                                "--device cpu --quick --out results devices tests "
                                "sanitizer kernels layers training");
  EXPECT_EQ(run.code, 0) << run.out << run.err;
  for (const char* name : {"devices", "tests", "sanitizer", "kernels", "layers", "training"}) {
    const nlohmann::json result = stage(folder, name);
    EXPECT_TRUE(is_good(result)) << result;
    EXPECT_EQ(result["device"], "cpu");
    EXPECT_TRUE(result.contains("driver") && result.contains("commit"));
    EXPECT_NE(run.out.find(name), std::string::npos);
  }
  EXPECT_GT(stage(folder, "tests")["suites"][0]["passed"], 0);
  EXPECT_GT(stage(folder, "kernels")["parts"]["gemm"]["rows"][0]["seconds"], 0.0);
  EXPECT_TRUE(stage(folder, "training")["facts"]["the same command leaves the same weights"]);
  EXPECT_EQ(read_file(folder / "results/training.json").find(folder.path().string()),
            std::string::npos)
      << "a place of this machine";
}

TEST(GpuCheck, ItRunsCasesAndKernelsOnTheSimulator) {
  const Folder folder;
  const Outcome run = gpu_check(folder, "--device sim --quick --out results tests kernels");
  EXPECT_EQ(run.code, 0) << run.out << run.err;
  EXPECT_EQ(stage(folder, "tests")["suites"][0]["program"], "test_gpu_kernels");
  const auto rows = stage(folder, "kernels")["parts"]["gemm"]["rows"];
  EXPECT_GT(rows.size(), 5u);
  for (const auto& row : rows) EXPECT_EQ(row["verdict"], "right");
}

// A bundle of programs that do what their text says.
void fake(const Folder& bundle, const std::string& program, const std::string& text) {
  fs::create_directories((bundle / program).parent_path());
  write_file(bundle / program, "#!/bin/sh\n" + text + "\n");
  fs::permissions(bundle / program, fs::perms::owner_all);
}

// As it lies in a bundle.
void copy_script(const Folder& bundle) {
  fs::copy_file(script(), bundle / "gpu_check.sh");
  fs::copy(fs::path(script()).parent_path() / "gpu_check", bundle / "gpu_check");
}

TEST(GpuCheck, WhatFailsOrHangsIsSaidAndTheRestGoesOn) {
  const Folder folder;
  copy_script(folder);
  fake(folder, "bin/convoy", "[ \"$1\" = devices ] && echo 'cpu  a machine'; exit 1");
  fake(folder, "bin/kbench", "echo 'a \"quoted\"\ttext \\ of rest' >&2; sleep 60");
  fake(folder, "tests/test_kernels",
       "if [ \"$1\" = --gtest_list_tests ]; then echo Good.; echo '  A'; echo Bad.; echo '  B';\n"
       "elif [ \"$1\" = '--gtest_filter=Good.*' ]; then echo '[       OK ] Good.A (0 ms)';\n"
       "else echo '[  FAILED  ] Bad.B (1 ms)'; exit 1; fi");
  const Outcome run = run_script(
      folder,
      "./gpu_check.sh --device cpu --limit 3 --out results devices tests kernels training "
      ">\"$out\" 2>\"$err\"");
  EXPECT_EQ(run.code, 1) << run.out << run.err;
  EXPECT_TRUE(is_good(stage(folder, "devices")));
  fake(folder, "bin/convoy", "echo 'cuda     none: no driver'");
  const Outcome without = run_script(
      folder, "./gpu_check.sh --device cuda --out without devices kernels >\"$out\" 2>\"$err\"");
  EXPECT_EQ(without.code, 1);
  EXPECT_NE(without.out.find("bad: there is no cuda here; cuda none: no driver"), std::string::npos)
      << without.out;
  EXPECT_NE(without.out.find("bad: not begun: there is no cuda here"), std::string::npos)
      << without.out;
  EXPECT_EQ(stage(folder, "tests")["verdict"], "bad: 1 passed, 1 failed, 0 skipped");
  EXPECT_EQ(stage(folder, "tests")["suites"].size(), 6u) << "two suites, and what is not there";
  EXPECT_NE(stage(folder, "kernels")["verdict"].get<std::string>().find("gemm: exit 124"),
            std::string::npos)
      << stage(folder, "kernels");
  EXPECT_LT(stage(folder, "kernels")["seconds"], 20.0);
  EXPECT_NE(stage(folder, "training")["verdict"].get<std::string>().find("exit 1"),
            std::string::npos);
}

// After a CUDA error a process fails whatever comes: alone C still fails, and says where, and D
// does not.
TEST(GpuCheck, OnAGpuWhatHasNotPassedRunsAgainAlone) {
  const Folder folder;
  copy_script(folder);
  fake(folder, "bin/convoy", "exit 0");
  fake(folder, "tests/test_gpu_kernels",
       "case $1 in\n"
       "--gtest_list_tests) printf 'Bad.\\n  B  # of 1\\n  C\\n  D\\n' ;;\n"
       "--gtest_filter=Bad.C) echo \"Error of the kernel, sync $CONVOY_SYNC\"; exit 1 ;;\n"
       "--gtest_filter=Bad.D) echo '[       OK ] Bad.D (0 ms)' ;;\n"
       "--gtest_filter=Bad.B:Bad.C:Bad.D) [ $CONVOY_MULTIPROCESSORS = 3 ] || exit 2\n"
       "  echo '[       OK ] Bad.B (0 ms)'; echo '[       OK ] Bad.C (0 ms)'\n"
       "  echo '[  FAILED  ] Bad.D (1 ms)'; exit 1 ;;\n"
       "*) echo '[       OK ] Bad.B (0 ms)'; echo '[  FAILED  ] Bad.C (1 ms)'\n"
       "  echo '[  FAILED  ] Bad.D (1 ms)'; exit 1 ;;\n"
       "esac");
  // An instruction that was not tried has not passed.
  fake(folder, "tests/test_cuda",
       "case $1 in\n"
       "--gtest_list_tests) printf 'Conformance.\n  A\n' ;;\n"
       "*) echo '[  SKIPPED ] Conformance.A (0 ms)' ;;\n"
       "esac");
  // Of these programs only suites that know a GPU, each test once.
  fake(folder, "tests/test_nn_sim",
       "case $1$2 in\n"
       "--gtest_list_tests--gtest_filter=-SimFusion.*:SimTraffic.*)\n"
       "  printf 'Ema.\\n  A\\n  B\\nOther.\\n  A\\n' ;;\n"
       "--gtest_filter=Ema.A:Ema.B--gtest_color=no) echo '[       OK ] Ema.A (0 ms)' ;;\n"
       "--gtest_filter=Other.A--gtest_color=no) echo '[       OK ] Other.A (0 ms)' ;;\n"
       "*) exit 1 ;;\n"
       "esac");
  const Outcome run =
      run_script(folder, "./gpu_check.sh --device cuda --out results tests >\"$out\" 2>\"$err\"");
  EXPECT_EQ(run.code, 1) << run.out << run.err;
  const nlohmann::json tests = stage(folder, "tests");
  // Products and convolutions run again as on a small GPU.
  EXPECT_EQ(tests["verdict"], "bad: 5 passed, 4 failed, 0 skipped") << tests;
  EXPECT_EQ(tests["suites"].back()["suite"], "Bad_of_three");
  const nlohmann::json alone = tests["suites"][1]["alone"];
  ASSERT_EQ(alone.size(), 2u) << tests;
  EXPECT_EQ(alone[0]["test"], "Bad.C");
  EXPECT_EQ(alone[0]["problems"][0], "Error of the kernel, sync 1");
  EXPECT_EQ(alone[1]["test"], "Bad.D");
  EXPECT_EQ(alone[1]["exit"], 0);
}

nlohmann::json bench_row(const std::string& op, const std::string& name, const std::string& variant,
                         bool chosen, const char* ratio, double value) {
  nlohmann::json row = {{"op", op},           {"pass", "forward"},  {"name", name},
                        {"dtype", "f16"},     {"variant", variant}, {"chosen", chosen},
                        {"sizes", {{"n", 1}}}};
  if (value > 0) row[ratio] = value;
  return row;
}

void write_bench(const fs::path& file, const std::string& ended_early, const nlohmann::json& rows) {
  const nlohmann::json summary = {{{"op", "gemm"}, {"of", "vendor"}, {"geometric_mean", 0.01}}};
  write_file(
      file,
      nlohmann::json{
          {"program", "kbench"}, {"ended_early", ended_early}, {"summary", summary}, {"rows", rows}}
              .dump(1) +
          "\n");
}

// What the GPU is to reach: which rows it is of, and what is said where they are not all there.
TEST(GpuCheck, TheBarsOfKernelsAreOfTheRowsThatTheyName) {
  const Folder folder;
  copy_script(folder);
  fake(folder, "bin/convoy", "exit 0");
  fake(folder, "bin/kbench",
       "op=$1; while [ $# -gt 1 ]; do [ \"$1\" = --json ] && file=$2; shift; done\n"
       "cp \"${0%/bin/kbench}/$op.json\" \"$file\"");
  const auto gemm = [](const char* name, const char* variant, double of_vendor) {
    return bench_row("gemm", name, variant, false, "of_vendor", of_vendor);
  };
  write_bench(folder / "gemm.json", "",
              {gemm("512 nt", "tensor_core", 0.2), gemm("4096 nt", "naive", 0.01),
               gemm("4096 nt", "tensor_core", 0.7), gemm("4096 nt", "wgmma", 0.9),
               gemm("4096 nn", "tensor_core", 0.61), gemm("4096 nn", "wgmma", 0.79),
               gemm("4096 tn", "tensor_core", 0.65), gemm("4096 tn", "wgmma", 0.85)});
  const auto memory = [](const char* name, const char* variant, double of_copy) {
    return bench_row("memory", name, variant, *variant != '\0', "of_copy", of_copy);
  };
  write_bench(folder / "memory.json", "", {memory("copy", "plan", 0.99), memory("add", "", 0)});
  write_bench(folder / "batch_norm.json", "9 seconds had passed", {memory("a", "columns", 0.99)});
  const auto conv = [](const char* name, const char* variant, bool chosen, double of_vendor) {
    return bench_row("conv2d", name, variant, chosen, "of_vendor", of_vendor);
  };
  write_bench(folder / "conv2d.json", "",
              {conv("conv1", "wgmma", true, 1.6), conv("conv1", "vendor", false, 1),
               conv("layer1", "wgmma", true, 0.4), conv("layer1", "vendor", false, 1)});
  run_script(folder,
             "./gpu_check.sh --device cuda --out results kernels layers >\"$out\" 2>\"$err\"");
  const nlohmann::json bars = stage(folder, "kernels")["bars"];
  ASSERT_EQ(bars.size(), 4u) << bars;
  EXPECT_EQ(bars[0]["found"], 0.61);
  EXPECT_EQ(bars[0]["holds"], true);
  EXPECT_EQ(bars[1]["found"], 0.79);
  EXPECT_EQ(bars[1]["holds"], false);
  EXPECT_TRUE(bars[2]["found"].is_null()) << "one of the kernels was not measured";
  EXPECT_TRUE(bars[3]["holds"].is_null()) << "the run ended early";
  const nlohmann::json layers = stage(folder, "layers");
  EXPECT_EQ(layers["bars"][0]["found"], 0.8);
  EXPECT_EQ(layers["bars"][0]["holds"], true);
  EXPECT_NE(layers["verdict"].get<std::string>().find("bar holds: conv2d f16 of resnet50"),
            std::string::npos)
      << layers["verdict"];
}

TEST(GpuCheck, ReplayIsComparedWithEagerStepsOfTheSameDtype) {
  const Folder folder;
  copy_script(folder);
  fs::create_directories(folder / "data/cifar10");
  fake(folder, "bin/convoy",
       "[ \"$2\" = --help ] && echo --cuda-graph\n"
       "speed=1500 all=\"$*\"; [ \"$1\" = train ] || exit 0\n"
       "while [ $# -gt 1 ]; do [ \"$1\" = --output ] && to=$2; shift; done\n"
       "case $all in *--amp*) speed=1200 ;; esac\n"
       "case $all in *--no-cuda-graph*) speed=1000 ;; esac\n"
       "mkdir -p $to/checkpoints/a && echo weights >$to/checkpoints/a/model.safetensors\n"
       "echo \"{\\\"images_per_second\\\":$speed.0}\" >$to/metrics.jsonl");
  run_script(
      folder,
      "./gpu_check.sh --device cuda --data data --out results training >\"$out\" 2>\"$err\"");
  const nlohmann::json bars = stage(folder, "training")["bars"];
  ASSERT_EQ(bars.size(), 2u) << stage(folder, "training");
  EXPECT_EQ(bars[0]["found"], 1.5);
  EXPECT_EQ(bars[0]["holds"], true);
  EXPECT_EQ(bars[1]["found"], 1.2);
  EXPECT_EQ(bars[1]["holds"], false);
}

TEST(GpuCheck, KeepsToItsTotalTimeAndPacksWhatThereIs) {
  const Folder folder;
  copy_script(folder);
  fake(folder, "bin/convoy", "[ \"$1\" = devices ] && echo 'cpu  a machine'; sleep 2");
  fake(folder, "bin/kbench", "sleep 60");
  const Outcome run =
      run_script(folder,
                 "./gpu_check.sh --device cpu --total 3 --pack sent/all.tar.gz --out "
                 "results devices kernels >\"$out\" 2>\"$err\"\n"
                 "tar -xzf sent/all.tar.gz -C sent");
  EXPECT_NE(run.err.find("gpu_check: devices, "), std::string::npos) << run.err;
  EXPECT_EQ(stage(folder, "kernels")["verdict"],
            "bad: not begun: the 3 seconds of --total were over");
  EXPECT_EQ(read_file(folder / "sent/kernels.json"), read_file(folder / "results/kernels.json"));
  EXPECT_TRUE(fs::exists(folder / "sent/summary.txt"));
  EXPECT_TRUE(fs::exists(folder / "sent/logs/devices.log"));
}

TEST(GpuCheck, BadUseIsOneLineAndExitsWithTwo) {
  const Folder folder;
  for (const char* arguments :
       {"polish", "--device tpu", "--limit soon", "--total 0", "--out", "--colour"}) {
    const Outcome run = gpu_check(folder, arguments);
    EXPECT_EQ(run.code, 2) << arguments;
    EXPECT_EQ(run.err.find("gpu_check: "), 0u) << run.err;
  }
}

}  // namespace
}  // namespace convoy::testing
