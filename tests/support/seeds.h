// SPDX-License-Identifier: MIT
#pragma once
// How many of the simulator's schedules a test runs over.

#include <algorithm>
#include <cstdint>

namespace convoy::testing {

// All `count`, but under the access checker ten: it judges by what is ordered, not by what came
// first.
constexpr std::uint64_t seeds(std::uint64_t count) {
#ifdef CONVOY_SIMCHECK
  return std::min<std::uint64_t>(count, 10);
#else
  return count;
#endif
}

}  // namespace convoy::testing
