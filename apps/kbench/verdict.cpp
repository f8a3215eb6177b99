// SPDX-License-Identifier: MIT
#include "apps/kbench/verdict.h"

#include <algorithm>
#include <cmath>

namespace convoy::kbench {
namespace {

constexpr double kBudget = 1 << 26;  // operations for references
constexpr std::int64_t kFewest = 48;

double epsilon(DType dtype) {
  if (dtype == DType::f16) return 0x1p-10;
  if (dtype == DType::bf16) return 0x1p-7;
  return dtype == DType::f64 ? 0x1p-52 : 0x1p-23;
}

void note_wrong(Verdict& verdict, std::string text) {
  if (verdict.right) verdict.text = std::move(text);
  verdict.right = false;
}

void compare(Verdict& verdict, const Expected& expected, const HostValues& found, std::int64_t i,
             double reference) {
  const DType dtype = found.dtype();
  const double limit = bound(dtype, reference, expected.terms, expected.scale);
  const double error = std::abs(found[i] - reference);
  ++verdict.compared;
  verdict.worst = std::max(verdict.worst, error / limit);
  if (error <= limit) return;  // false for NaN
  note_wrong(verdict, fmt::format("element {} is {:.6g}, expected {:.6g} within {:.2g}", i,
                                  found[i], reference, limit));
}

// The first element that is not a finite number, or `count`.
std::int64_t first_not_finite(const HostValues& found) {
  std::int64_t first = found.count();
#pragma omp parallel for reduction(min : first)
  for (std::int64_t i = 0; i < found.count(); ++i) {
    if (!std::isfinite(found[i])) first = std::min(first, i);
  }
  return first;
}

// Element j of `samples` that are spread over 0 ... count - 1, both ends included.
std::int64_t spread(std::int64_t j, std::int64_t samples, std::int64_t count) {
  if (samples == 1) return 0;
  const long double share = static_cast<long double>(j) / static_cast<long double>(samples - 1);
  return static_cast<std::int64_t>(std::llround(share * static_cast<long double>(count - 1)));
}

void compare_all(Verdict& verdict, const Expected& expected, const HostValues& found) {
  const std::int64_t count = found.count(), bad = first_not_finite(found);
  verdict.outputs += count;
  if (bad < count) {
    return note_wrong(verdict, fmt::format("element {} of {} is {}", bad, count, found[bad]));
  }
  const auto affordable = static_cast<std::int64_t>(kBudget / std::max(1.0, expected.cost));
  const std::int64_t samples = std::min(count, std::max(kFewest, affordable));
  std::vector<double> references(static_cast<std::size_t>(samples));
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t j = 0; j < samples; ++j) {
    references[static_cast<std::size_t>(j)] = expected.reference(spread(j, samples, count));
  }
  for (std::int64_t j = 0; j < samples; ++j) {
    compare(verdict, expected, found, spread(j, samples, count),
            references[static_cast<std::size_t>(j)]);
  }
}

// A result that nobody looks at is one that a kernel need not write.
void require_all_expected(const Problem& problem, const std::vector<Expected>& expected) {
  for (const int operand : problem.memory->written()) {
    const bool known = std::any_of(expected.begin(), expected.end(),
                                   [&](const Expected& e) { return e.operand == operand; });
    require(known, "kbench: {} {} expects a reference for each operand written, found none for {}",
            problem.op, problem.pass, operand);
  }
}

}  // namespace

double bound(DType dtype, double reference, double terms, double scale) {
  const double size = std::abs(reference) + std::sqrt(terms) * scale;
  // One chain of additions rounds a partial sum of size sqrt(j) / 3 each time.
  const double chain = dtype == DType::f32 ? 4 * (1 + 0.15 * std::sqrt(terms)) : 1;
  return epsilon(dtype) * chain * size + (dtype == DType::f16 ? 0x1p-24 : 0x1p-126);
}

Verdict check(Problem& problem, const Device& device, const std::string& variant) {
  problem.memory->reset(0);
  const std::vector<Expected> expected = problem.expected();
  require_all_expected(problem, expected);
  problem.launch(variant, 0);
  backend(device).synchronize(current_stream(device));
  Verdict verdict;
  for (const Expected& e : expected) compare_all(verdict, e, problem.memory->now(e.operand));
  return verdict;
}

}  // namespace convoy::kbench
