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
  }
  return all;
}

std::string line(const Comparison& each) {
  return fmt::format(
      "plan {} {} of {}: geometric mean {:.1f} % over {} problems, least {:.1f} % ({})", each.op,
      each.dtype, each.with, 100 * each.geometric_mean, each.problems, 100 * each.least,
      each.least_at);
}

}  // namespace convoy::kbench
