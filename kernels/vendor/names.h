// SPDX-License-Identifier: MIT
#pragma once
// A vendor library's heuristics offer several ways to do one op, best guess first. Each is a
// variant: "vendor", then "vendor_2" and on, so that benchmarks and the tuning table can tell which
// is the fastest. plan takes the first and times nothing.

#include <array>
#include <cstddef>
#include <string_view>

namespace convoy::vendor {

inline constexpr std::array<const char*, 8> kNames = {
    "vendor", "vendor_2", "vendor_3", "vendor_4", "vendor_5", "vendor_6", "vendor_7", "vendor_8"};

// Place of a variant among them; kNames.size() if it is none.
inline std::size_t index_of(std::string_view variant) {
  std::size_t i = 0;
  while (i < kNames.size() && variant != kNames[i]) ++i;
  return i;
}

inline bool is_vendor(std::string_view variant) { return index_of(variant) < kNames.size(); }

}  // namespace convoy::vendor
