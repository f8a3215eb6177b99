// SPDX-License-Identifier: MIT
#include "kernels/multiprocessors.h"

#include <cstdlib>

#include "kernels/require.h"

namespace convoy {

int multiprocessors_to_use(int there) {
  static const int wanted = [] {
    const char* text = std::getenv("CONVOY_MULTIPROCESSORS");
    if (text == nullptr) return 0;
    const int found = std::atoi(text);
    if (found < 1) fail_usage("CONVOY_MULTIPROCESSORS expects 1 or more, found '{}'", text);
    return found;
  }();
  return wanted > 0 ? wanted : there;
}

}  // namespace convoy
