// SPDX-License-Identifier: MIT
#pragma once
// Runs problems: for each variant the verdict first, then, if it is right, the times.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apps/kbench/problem.h"
#include "apps/kbench/timing.h"
#include "apps/kbench/verdict.h"
#include "kernels/tuning.h"
#include "runtime/device.h"

namespace convoy::kbench {

struct Options {
  std::vector<std::string> variants = {"all"};  // or "plan", or names, or how they begin: "vendor*"
  TimingOptions timing = {};
  bool progress = true;          // a line on standard error as each problem begins
  double max_total_seconds = 0;  // no problem begins after so many; 0: all do
};

// One variant of one problem.
struct Row {
  std::string op, pass, name, variant;
  std::string key;  // in a tuning table
  std::vector<std::pair<std::string, std::int64_t>> sizes;
  DType dtype = DType::f32;
  bool chosen = false;
  std::string outcome;  // "right", "wrong" or "failed"
  Verdict verdict;
  std::optional<Times> times;
  double operations = 0, bytes = 0;
  bool memory_bound = false;
  bool cold = false;                // no launch finds its operands in the caches
  std::optional<double> of_vendor;  // the fastest of the vendor's seconds / ours
  std::optional<double> of_copy;    // our bytes per second / the copy's; only of what is cold

  double gflops() const;  // 0 where nothing was timed
  double gigabytes_per_second() const;
};

struct Results {
  Device device;
  double copy_bytes_per_second = 0;  // 0: not measured
  std::vector<Row> rows = {};
  std::set<std::string> variants = {};  // of all problems, wanted or not
  std::string ended_early = {};         // why, where not all problems were run
  bool all_right() const;
};

// Of each op that has a key the fastest variant that is right; none where nothing was timed.
TuningTable fastest(const Results& results);

// `after_each` sees the results so far after each problem, so that a run that is cut off leaves
// them.
Results run_all(const Device& device, const std::vector<MakeProblem>& problems,
                const Options& options, const std::function<void(const Results&)>& after_each = {});

}  // namespace convoy::kbench
