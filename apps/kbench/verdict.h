// SPDX-License-Identifier: MIT
#pragma once
// Whether a kernel's result is right: outputs against references in double precision, all of them
// where that is cheap, else some hundred, spread evenly and the last one with them. No operand that
// a launch writes is left out, and every element of it must have been written.

#include <string>

#include "apps/kbench/problem.h"

namespace convoy::kbench {

struct Verdict {
  bool right = true;
  std::int64_t compared = 0, outputs = 0;  // elements
  double worst = 0;                        // error / bound
  std::string text;                        // of the first wrong element
};

// Of one element: the house's bound for a sum of `terms` products, eps (|ref| + sqrt(terms) scale);
// in f32, which is added up in f32 too, with the room that one long chain needs.
double bound(DType dtype, double reference, double terms, double scale);

// Draws set 0 again, runs the variant on it once, and compares.
Verdict check(Problem& problem, const Device& device, const std::string& variant);

}  // namespace convoy::kbench
