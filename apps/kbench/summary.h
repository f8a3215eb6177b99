// SPDX-License-Identifier: MIT
#pragma once
// What many rows say together: the variant that runs by itself against the vendor's fastest, and
// against a copy where memory bounds it.

#include <string>
#include <vector>

#include "apps/kbench/harness.h"

namespace convoy::kbench {

struct Comparison {
  std::string op;
  DType dtype = DType::f32;
  std::string with = {};  // "vendor" or "copy"
  int problems = 0;
  int left_out = 0;  // others of the op and dtype that have no such ratio: wrong, failed, no vendor
  double geometric_mean = 0, least = 0;
  std::string least_at = {};  // pass and name of the problem
};

// Of the rows whose variant plan takes, in the order in which ops and dtypes first appear.
std::vector<Comparison> summarise(const Results& results);

// "plan gemm f16 of vendor: geometric mean 81.2 % over 9 problems, least 60.3 % (forward 4096)",
// and behind it "; 2 left out" where some are.
std::string line(const Comparison& comparison);

}  // namespace convoy::kbench
