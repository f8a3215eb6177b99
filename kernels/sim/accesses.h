// SPDX-License-Identifier: MIT
#pragma once
// What copies and fills touch, as long as the host has not waited for them: two that overlap, one
// of which writes, must be ordered. Kernels are not among them: the access checker sees theirs.

#include <cstddef>
#include <vector>

#include "kernels/sim/stream_order.h"

namespace convoy::sim {

struct Range {
  const char* begin = nullptr;
  std::size_t bytes = 0;
  bool writes = false;
};

class Accesses {
 public:
  // Throws Error, at the operation's line, for a conflict with an earlier one.
  void add(const Operation& operation, const Clock& clock, const std::vector<Range>& ranges);
  void forget_known(const Clock& host);
  void forget_all() { known_.clear(); }

  struct Access {
    Range range;
    Operation by;
  };
  // Accesses that overlap with the range.
  std::vector<Access> overlapping(const void* begin, std::size_t bytes) const;

 private:
  std::vector<Access> known_;
};

}  // namespace convoy::sim
