// SPDX-License-Identifier: MIT
#include "apps/kbench/summary.h"

#include <algorithm>
#include <cmath>

namespace convoy::kbench {
namespace {

Comparison& of(std::vector<Comparison>& all, const Row& row, const char* with) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Comparison& each) {
    return each.op == row.op && each.dtype == row.dtype && each.with == with;
  });
  if (found != all.end()) return *found;
  return all.emplace_back(Comparison{row.op, row.dtype, with});
}

// The mean is a sum of logarithms until the end.
void add(Comparison& comparison, const Row& row, double ratio) {
  if (comparison.problems == 0 || ratio < comparison.least) {
    comparison.least = ratio;
    comparison.least_at = row.pass == row.name ? row.name : row.pass + " " + row.name;
  }
  ++comparison.problems;
  comparison.geometric_mean += std::log(ratio);
}

// A problem that could not be begun has a row without a variant.
bool counts(const Row& row) { return row.chosen || row.variant.empty(); }

int left_out(const Comparison& comparison, const std::vector<Row>& rows) {
  const bool of_vendor = comparison.with == "vendor";
  return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
    const bool has = of_vendor ? row.of_vendor.has_value() : row.of_copy.has_value();
    return counts(row) && row.op == comparison.op && row.dtype == comparison.dtype && !has;
  }));
}

}  // namespace

std::vector<Comparison> summarise(const Results& results) {
  std::vector<Comparison> all;
  for (const Row& row : results.rows) {
    if (!row.chosen) continue;
    if (row.of_vendor) add(of(all, row, "vendor"), row, *row.of_vendor);
    if (row.of_copy) add(of(all, row, "copy"), row, *row.of_copy);
  }
  for (Comparison& each : all) {
    each.geometric_mean = std::exp(each.geometric_mean / each.problems);
    each.left_out = left_out(each, results.rows);
  }
  return all;
}

std::string line(const Comparison& each) {
  return fmt::format(
      "plan {} {} of {}: geometric mean {:.1f} % over {} problems, least {:.1f} % ({}){}", each.op,
      each.dtype, each.with, 100 * each.geometric_mean, each.problems, 100 * each.least,
      each.least_at, each.left_out > 0 ? fmt::format("; {} left out", each.left_out) : "");
}

}  // namespace convoy::kbench
