// SPDX-License-Identifier: MIT
#include "kernels/multiprocessors.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "kernels/require.h"

namespace convoy {
namespace {

constexpr int kMost = 1 << 16;  // blocks that a plan may reckon with, far beyond any GPU's

}  // namespace

int multiprocessors_to_use(int there) {
  static const int wanted = [] {
    const char* text = std::getenv("CONVOY_MULTIPROCESSORS");
    if (text == nullptr) return 0;
    const std::string_view said = text;
    int count = 0;
    const auto [stop, error] = std::from_chars(said.data(), said.data() + said.size(), count);
    if (error != std::errc() || stop != said.data() + said.size() || count < 1 || count > kMost) {
      fail_usage("CONVOY_MULTIPROCESSORS expects 1 to {}, found '{}'", kMost, said);
    }
    return count;
  }();
  return wanted > 0 ? wanted : there;
}

}  // namespace convoy
