// SPDX-License-Identifier: MIT
// kbench: results that are wrong, problems that fail, and the summary.
#include <chrono>
#include <cmath>
#include <thread>

#include "apps/kbench/harness.h"
#include "apps/kbench/report.h"
#include "apps/kbench/summary.h"
#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

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

// A wrong kernel ends the program with 1: the bound itself is what decides here.
TEST(Kbench, BoundsGrowWithTheSumAndTheDtype) {
  EXPECT_DOUBLE_EQ(kbench::bound(DType::f16, 2, 16, 1), 0x1p-10 * 6 + 0x1p-24);
  EXPECT_GT(kbench::bound(DType::bf16, 2, 16, 1), kbench::bound(DType::f16, 2, 16, 1));
  EXPECT_LT(kbench::bound(DType::f32, 2, 16, 1), 1e-5);
}

}  // namespace
}  // namespace convoy::testing
