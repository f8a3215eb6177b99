// SPDX-License-Identifier: MIT
#pragma once
// Time on the host: seconds that have gone since a moment.

#include <chrono>

namespace convoy {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace convoy
