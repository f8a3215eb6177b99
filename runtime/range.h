// SPDX-License-Identifier: MIT
#pragma once
// Elements [begin, end) of something flat.

#include <cstdint>

namespace convoy {

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

}  // namespace convoy
