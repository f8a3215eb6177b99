// SPDX-License-Identifier: MIT
#pragma once
// How many of the simulator's schedules a test runs over.

#include <algorithm>
#include <cstdint>

namespace convoy::testing {

// All `count`, but ten under the access checker, which judges by what is ordered, not by what came
// first, and under AddressSanitizer, which has nothing to do with order.
constexpr std::uint64_t seeds(std::uint64_t count) {
#if defined(CONVOY_SIMCHECK) || defined(__SANITIZE_ADDRESS__)
  return std::min<std::uint64_t>(count, 10);
#else
  return count;
#endif
}

}  // namespace convoy::testing
