// SPDX-License-Identifier: MIT
// kbench: verdicts on cpu and sim at tiny shapes, times where there are any, bad use, and results
// that are wrong.
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "apps/kbench/command.h"
#include "apps/kbench/harness.h"
#include "apps/kbench/layers.h"
#include "apps/kbench/report.h"
#include "apps/kbench/summary.h"
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

TEST(Kbench, ABatchNormInTheCacheReadsItsInputsFromMemoryOnce) {
  const Device device{DeviceType::cpu};
  const auto bytes = [&](std::int64_t rows) {
    std::vector<double> found;
    for (const auto& make : kbench::batch_norm_problems(
             {.device = device, .sizes = {{"n", rows}, {"h", 1}, {"c", 1}}})) {
      found.push_back(make().bytes / (4.0 * static_cast<double>(rows)));
    }
    return found;
  };
  EXPECT_EQ(bytes(1000), (std::vector<double>{2, 3}));
  EXPECT_EQ(bytes(std::int64_t{1} << 30), (std::vector<double>{3, 5}));
}

// Of each table the layers, and the multiplications for one image: those of the papers' networks.
TEST(Kbench, TablesOfLayersAreWholeNetworks) {
  const struct {
    const char* shapes;
    int layers;
    double multiplications;
  } expected[] = {{"resnet50", 53, 4.087e9}, {"cifar", 7, 118.14e6}, {"resnet20", 19, 40.55e6}};
  for (const auto& [shapes, layers, multiplications] : expected) {
    int count = 0;
    double sum = 0;
    for (const kbench::ConvLayer& l :
         kbench::conv_layers({.device = {}, .shapes = shapes, .sizes = {{"n", 1}}})) {
      count += l.count;
      sum += static_cast<double>(l.count * l.g.output_shape().count() * l.g.R * l.g.S * l.g.C);
    }
    EXPECT_EQ(count, layers) << shapes;
    EXPECT_NEAR(sum, multiplications, 0.002 * multiplications) << shapes;
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

// A problem whose launch is the real one, and then does `harm` to its result.
kbench::MakeProblem harmed(const Device& device, void (*harm)(kbench::Operands&, int operand)) {
  kbench::Request request{.device = device, .sizes = {{"m", 40}, {"n", 24}, {"k", 16}}};
  request.passes = {"forward"};
  return [=] {
    kbench::Problem problem = kbench::gemm_problems(request).front()();
    problem.prepare = [prepare = problem.prepare, harm](kbench::Problem& described) {
      prepare(described);
      described.launch = [launch = described.launch, harm, memory = described.memory](
                             const std::string& variant, int set) {
        launch(variant, set);
        harm(*memory, 2);
      };
    };
    return problem;
  };
}

void poke(kbench::Operands& memory, int operand, float value) {
  const Device device{DeviceType::sim};
  auto* const place = static_cast<float*>(memory.data(operand, 0)) + 40 * 24 - 1;
  const Tensor one = full({1}, value, {DType::f32, device});
  backend(device).copy(place, one.data(), sizeof(float), current_stream(device));
}

TEST(Kbench, AWrongResultIsSeenAndNotTimed) {
  const Device device{DeviceType::sim};
  using Harm = void (*)(kbench::Operands&, int);
  const Harm harms[] = {
      [](kbench::Operands& memory, int c) { poke(memory, c, 100.0f); },
      [](kbench::Operands& memory, int c) { poke(memory, c, NAN); },
  };
  for (const Harm harm : harms) {
    const kbench::Results results =
        kbench::run_all(device, {harmed(device, harm)}, {.variants = {"naive"}, .progress = false});
    ASSERT_EQ(results.rows.size(), 1u);
    EXPECT_EQ(results.rows[0].outcome, "wrong");
    EXPECT_FALSE(results.rows[0].times);
    EXPECT_FALSE(results.all_right());
    EXPECT_NE(kbench::table(results).find("element 959"), std::string::npos)
        << kbench::table(results);
  }
}

// One more in the last element.
void spoil(kbench::Operands& memory, int operand) {
  const kbench::HostValues values = memory.now(operand);
  const std::int64_t last = values.count() - 1;
  if (values.dtype() == DType::i32) {
    ++static_cast<std::int32_t*>(memory.data(operand, 0))[last];
  } else {
    static_cast<float*>(memory.data(operand, 0))[last] += 1;
  }
}

std::vector<kbench::MakeProblem> a_small_one_of_each(const Device& device) {
  std::vector<kbench::MakeProblem> all;
  const std::vector<std::pair<std::string, std::int64_t>> sizes[] = {
      {{"m", 5}, {"n", 7}, {"k", 9}},
      {{"n", 2}, {"c", 4}, {"h", 5}, {"k", 3}},
      {{"n", 2}, {"c", 3}, {"h", 4}},
      {{"count", 600}}};
  for (std::size_t i = 0; i < kbench::families().size(); ++i) {
    const auto more = kbench::families()[i].problems({.device = device, .sizes = sizes[i]});
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// A kernel that forgets what no reference looks at would be faster, and right.
TEST(Kbench, EveryOperandThatIsWrittenIsLookedAt) {
  const Device device{DeviceType::cpu};
  int spoiled = 0;
  for (const kbench::MakeProblem& make : a_small_one_of_each(device)) {
    kbench::Problem problem = make();
    problem.prepare(problem);
    EXPECT_TRUE(check(problem, device, problem.chosen).right) << problem.op << problem.pass;
    const auto launch = problem.launch;
    for (const int operand : problem.memory->written()) {
      problem.launch = [&](const std::string& variant, int set) {
        launch(variant, set);
        spoil(*problem.memory, operand);
      };
      EXPECT_FALSE(check(problem, device, problem.chosen).right)
          << problem.op << " " << problem.pass << " operand " << operand;
      ++spoiled;
    }
  }
  EXPECT_EQ(spoiled, 3 + 3 + 3 + 3 + 17);
}

TEST(Kbench, AKernelThatThrowsIsAFailedRow) {
  const Device device{DeviceType::sim};
  const auto problem = harmed(device, [](kbench::Operands&, int) { throw Error("gemm: planted"); });
  const kbench::Results results =
      kbench::run_all(device, {problem}, {.variants = {"naive"}, .progress = false});
  ASSERT_EQ(results.rows.size(), 1u);
  EXPECT_EQ(results.rows[0].outcome, "failed");
  EXPECT_NE(kbench::json(results).find("gemm: planted"), std::string::npos);
}

TEST(Kbench, ARunOutOfTimeKeepsWhatItHas) {
  const Device device{DeviceType::sim};
  const auto slow = harmed(device, [](kbench::Operands&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  int seen = 0;
  const kbench::Results results = kbench::run_all(
      device, {slow, slow}, {.variants = {"naive"}, .progress = false, .max_total_seconds = 0.01},
      [&](const kbench::Results& so_far) { seen += so_far.rows.size() == 1; });
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(results.rows.size(), 1u);
  EXPECT_NE(results.ended_early.find("before problem 2 of 2"), std::string::npos);
}

kbench::Row timed(const char* op, const char* name, bool chosen, double of_vendor, double of_copy) {
  kbench::Row row;
  row.variant = "a", row.op = op, row.pass = "forward", row.name = name, row.chosen = chosen;
  if (of_vendor > 0) row.of_vendor = of_vendor;
  if (of_copy > 0) row.of_copy = of_copy;
  return row;
}

TEST(Kbench, TheSummaryIsOfWhatPlanTakes) {
  kbench::Results results;
  results.rows = {timed("gemm", "a", true, 0.9, 0), timed("gemm", "a", false, 0.1, 0),
                  timed("gemm", "b", true, 0.4, 0), timed("add", "c", true, 0, 0.8),
                  timed("gemm", "d", true, 0, 0),   timed("gemm", "e", false, 0, 0)};
  results.rows.push_back(timed("gemm", "not begun", false, 0, 0));
  results.rows.back().variant = "";
  const auto found = kbench::summarise(results);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(kbench::line(found[0]),
            "plan gemm f32 of vendor: geometric mean 60.0 % over 2 problems, least 40.0 % "
            "(forward b); 2 left out");
  EXPECT_EQ(found[0].left_out, 2);
  EXPECT_EQ(
      kbench::line(found[1]),
      "plan add f32 of copy: geometric mean 80.0 % over 1 problems, least 80.0 % (forward c)");
  EXPECT_NE(kbench::table(results).find("\n" + kbench::line(found[1]) + "\n"), std::string::npos);
  EXPECT_NE(kbench::json(results).find("\"least_at\": \"forward b\""), std::string::npos);
}

TEST(Kbench, EveryRepeatUsesEverySetOfOperands) {
  std::vector<int> used(40);
  const auto times = kbench::measure({DeviceType::cpu}, 40,
                                     [&](int set) {
                                       ++used[static_cast<std::size_t>(set)];
                                       std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                     },
                                     {.warmup = 0, .repeats = 2});
  ASSERT_TRUE(times);
  EXPECT_GE(times->launches, 40);
  for (const int count : used) EXPECT_GE(count, 2);
}

// Writes down what it is asked for; its clock stands still while the host works.
class Diary final : public DeviceBackend {
 public:
  std::vector<std::string> entries;
  double clock = 0;

  void* allocate(std::size_t) override { return nullptr; }
  void release(void*, std::size_t) noexcept override {}
  void copy(void*, const void*, std::size_t, const Stream&, Where) override {}
  void synchronize(const Stream&) override { entries.emplace_back("wait for all"); }
  Stream default_stream() override { return {}; }
  bool host_accessible() const override { return false; }
  std::string description() const override { return "a diary"; }
  void* create_event() override { return new double; }
  void destroy_event(void* event) noexcept override { delete static_cast<double*>(event); }
  void record(void* event, const Stream&, Where) override {
    *static_cast<double*>(event) = clock;
    entries.push_back(fmt::format("mark {}", clock));
  }
  void synchronize_event(void* event) override {
    entries.push_back(fmt::format("wait for {}", *static_cast<double*>(event)));
  }
  double seconds_between(void* first, void* last) override {
    return *static_cast<double*>(last) - *static_cast<double*>(first);
  }
};

// Else the device idles between the first event and what the host is slow to enqueue.
TEST(Kbench, ARepeatIsEnqueuedWhileTheOneBeforeRuns) {
  Diary device;
  const auto work = [&] { device.clock += 1 + static_cast<int>(device.clock); };
  const auto seconds = kbench::time_back_to_back(device, {}, 3, work, [](int) { return false; });
  EXPECT_EQ(seconds, (std::vector<double>{2, 4, 8}));
  EXPECT_EQ(device.entries,
            (std::vector<std::string>{"mark 1", "mark 3", "wait for 1", "mark 7", "wait for 3",
                                      "mark 15", "wait for 7", "wait for all"}));
  const auto two = kbench::time_back_to_back(device, {}, 9, work, [](int i) { return i == 2; });
  EXPECT_EQ(two.size(), 2u);
}

// Tables of tuning are judged by these names.
TEST(Kbench, EveryVariantIsKnownByName) {
  for (const DeviceType type : {DeviceType::cpu, DeviceType::sim}) {
    const kbench::Request requests[] = {
        {.device = {type}, .dtype = DType::f32, .sizes = {{"n", 1}}},
        {.device = {type}, .dtype = DType::f32, .sizes = {{"c", 16}, {"groups", 16}, {"n", 1}}},
        {.device = {type}, .dtype = DType::f16, .sizes = {{"n", 1}}},
    };
    for (const kbench::Request& request : requests) {
      if (type == DeviceType::cpu && request.dtype != DType::f32) continue;
      for (const auto& problems :
           {kbench::gemm_problems, kbench::conv2d_problems, kbench::batch_norm_problems}) {
        for (const auto& make : problems(request)) {
          kbench::Problem problem = make();
          problem.prepare(problem);
          for (const std::string& variant : problem.variants) {
            EXPECT_TRUE(variant == "plan" || is_variant(problem.key, variant)) << variant;
          }
        }
      }
    }
  }
  EXPECT_FALSE(is_variant("gemm", "winograd"));
}

// As the kernel tells it: "266240K".
TEST(Kbench, OperandsOnCpuAreLargerThanTheLastCache) {
  std::ifstream in("/sys/devices/system/cpu/cpu0/cache/index3/size");
  std::size_t kibibytes = 0;
  if (!(in >> kibibytes)) GTEST_SKIP() << "no third level of cache is told of here";
  EXPECT_GT(kbench::beyond_cache({DeviceType::cpu}), kibibytes << 10);
  EXPECT_EQ(kbench::beyond_cache({DeviceType::cuda}), std::size_t{128} << 20);
}

// A wrong kernel ends the program with 1: the bound itself is what decides here.
TEST(Kbench, BoundsGrowWithTheSumAndTheDtype) {
  EXPECT_DOUBLE_EQ(kbench::bound(DType::f16, 2, 16, 1), 0x1p-10 * 6 + 0x1p-24);
  EXPECT_GT(kbench::bound(DType::bf16, 2, 16, 1), kbench::bound(DType::f16, 2, 16, 1));
  EXPECT_LT(kbench::bound(DType::f32, 2, 16, 1), 1e-5);
}

}  // namespace
}  // namespace convoy::testing
