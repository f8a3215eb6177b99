// SPDX-License-Identifier: MIT
#include "apps/kbench/harness.h"

#include <algorithm>
#include <chrono>
#include <new>

namespace convoy::kbench {
namespace {

// "tensor*" is each that begins so.
bool fits(const std::string& pattern, const std::string& variant) {
  if (!pattern.ends_with('*')) return pattern == variant;
  return variant.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::vector<std::string> wanted(const Problem& problem, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& variant : problem.variants) {
    const bool wants = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name == "all" || fits(name, variant) || (name == "plan" && variant == problem.chosen);
    });
    if (wants) found.push_back(variant);
  }
  return found;
}

Row row_of(const Problem& problem, const std::string& variant = "") {
  Row row;
  row.op = problem.op, row.pass = problem.pass, row.name = problem.name, row.variant = variant;
  row.key = problem.key;
  row.sizes = problem.sizes, row.dtype = problem.dtype;
  row.chosen = !variant.empty() && variant == problem.chosen;
  row.operations = problem.operations, row.bytes = problem.bytes;
  row.memory_bound = problem.memory_bound, row.cold = problem.cold;
  return row;
}

// Most CUDA errors stay with the process: then all that follows fails of them too.
bool is_usable(const Device& device) {
  try {
    backend(device).synchronize(current_stream(device));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

Row run_one(Problem& problem, const Device& device, const std::string& variant,
            const Options& options) {
  Row row = row_of(problem, variant);
  try {
    row.verdict = check(problem, device, variant);
    row.outcome = row.verdict.right ? "right" : "wrong";
    if (!row.verdict.right) return row;
    row.times = measure(
        device, problem.memory->sets(), [&](int set) { problem.launch(variant, set); },
        options.timing);
  } catch (const std::exception& error) {
    row.outcome = "failed";
    row.verdict.right = false;
    row.verdict.text = error.what();
  }
  return row;
}

void compare_with_vendor(std::vector<Row>& rows) {
  double vendor = 0;
  for (const Row& row : rows) {
    if (!row.times || !row.variant.starts_with("vendor")) continue;
    vendor = vendor == 0 ? row.times->median() : std::min(vendor, row.times->median());
  }
  if (vendor == 0) return;
  for (Row& row : rows) {
    if (row.times) row.of_vendor = vendor / row.times->median();
  }
}

std::vector<Row> run_problem(const Device& device, Problem& problem, const Options& options) {
  std::vector<Row> rows;
  for (int set = 1; set < problem.memory->sets(); ++set) problem.memory->reset(set);
  for (const std::string& variant : wanted(problem, options.variants)) {
    rows.push_back(run_one(problem, device, variant, options));
    if (rows.back().outcome == "failed" && !is_usable(device)) break;
  }
  compare_with_vendor(rows);
  return rows;
}

// A problem that could not even be begun: out of memory, say.
Row not_begun(const Problem& problem, const std::string& text) {
  Row row = row_of(problem);
  row.outcome = "failed";
  row.verdict.right = false;
  row.verdict.text = text;
  return row;
}

// Bytes per second; 0 where there is not the memory for it.
double copy_to_compare(const Device& device, const Options& options) try {
  const bool on_gpu = device.type == DeviceType::cuda;
  const std::size_t bytes = on_gpu ? std::size_t{1} << 29 : beyond_cache(device);
  return copy_bandwidth(device, bytes, options.timing);
} catch (const std::exception& error) {
  fmt::print(stderr, "kbench: a copy could not be timed, to compare with: {}\n", error.what());
  return 0;
}

void set_against_copy(Row& row, Results& results, const Options& options) {
  if (!row.memory_bound || !row.cold || !row.times) return;
  if (results.copy_bytes_per_second == 0) {
    results.copy_bytes_per_second = copy_to_compare(results.device, options);
  }
  if (results.copy_bytes_per_second == 0) return;
  row.of_copy = row.bytes / row.times->median() / results.copy_bytes_per_second;
}

// Its operands are gone afterwards.
std::vector<Row> rows_of(Results& results, const MakeProblem& make, const Options& options,
                         const std::string& position) {
  Problem problem = make();
  if (options.progress) {
    fmt::print(stderr, "kbench: {} {} {} {} {}\n", position, problem.op, problem.pass, problem.name,
               problem.dtype);
  }
  try {
    problem.prepare(problem);
    results.variants.insert(problem.variants.begin(), problem.variants.end());
    return run_problem(results.device, problem, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::usage) throw;
    return {not_begun(problem, error.what())};
  } catch (const std::bad_alloc&) {
    return {not_begun(problem, "kbench: the host is out of memory")};
  }
}

void add_problem(Results& results, const MakeProblem& make, const Options& options,
                 const std::string& position) {
  for (Row& row : rows_of(results, make, options, position)) {
    set_against_copy(row, results, options);
    if (row.outcome == "failed" && !is_usable(results.device)) {
      results.ended_early = "after an error the device cannot be used";
    }
    results.rows.push_back(std::move(row));
  }
}

}  // namespace

double Row::gflops() const { return times ? operations / times->median() / 1e9 : 0; }
double Row::gigabytes_per_second() const { return times ? bytes / times->median() / 1e9 : 0; }

bool Results::all_right() const {
  return std::all_of(rows.begin(), rows.end(),
                     [](const Row& row) { return row.outcome == "right"; });
}

TuningTable fastest(const Results& results) {
  TuningTable table;
  std::map<std::string, double> least;
  for (const Row& row : results.rows) {
    if (row.key.empty() || row.outcome != "right" || !row.times) continue;
    const double seconds = row.times->median();
    const auto [entry, is_first] = least.emplace(row.key, seconds);
    if (!is_first && seconds >= entry->second) continue;
    entry->second = seconds;
    table[row.key] = row.variant;
  }
  return table;
}

Results run_all(const Device& device, const std::vector<MakeProblem>& problems,
                const Options& options, const std::function<void(const Results&)>& after_each) {
  const auto begin = std::chrono::steady_clock::now();
  Results results{.device = device};
  for (std::size_t i = 0; i < problems.size() && results.ended_early.empty(); ++i) {
    const std::chrono::duration<double> past = std::chrono::steady_clock::now() - begin;
    if (options.max_total_seconds > 0 && past.count() > options.max_total_seconds) {
      results.ended_early = fmt::format("{:.0f} seconds had passed before problem {} of {}",
                                        past.count(), i + 1, problems.size());
      break;
    }
    add_problem(results, problems[i], options, fmt::format("{}/{}", i + 1, problems.size()));
    if (after_each) after_each(results);
  }
  return results;
}

}  // namespace convoy::kbench
