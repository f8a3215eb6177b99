// SPDX-License-Identifier: MIT
#pragma once
// Copies and fills: what they touch, and what they do when their turn comes.

#include <functional>
#include <optional>
#include <source_location>
#include <vector>

#include "kernels/sim/accesses.h"

namespace convoy::sim {

struct Transfer {
  void* to = nullptr;
  const void* from = nullptr;  // null: `to` is filled with `value`
  std::size_t bytes = 0;
  int value = 0;
  bool to_host = false, from_host = false;
  bool recycles = false;  // poison over a block that was given back
};

std::vector<Range> touched(const Transfer& transfer);

// Checks both sides against the allocations they lie in, and tells host from device memory.
// Throws Error, at `where`, for what lies outside, was freed, or is on the wrong side.
Transfer checked_copy(void* to, const void* from, std::size_t bytes, std::source_location where);
Transfer checked_fill(void* to, int value, std::size_t bytes, std::source_location where);
std::string describe(const Transfer& transfer);  // "copy of 64 bytes from host to device"

// With `watch_source` it throws Error when the source is no longer what it was now.
std::function<void()> transfer_work(const Transfer& transfer, bool watch_source,
                                    const std::string& what, std::source_location where);

}  // namespace convoy::sim
