// SPDX-License-Identifier: MIT
#include "kernels/sim/accesses.h"

#include <algorithm>

#include "kernels/require.h"

namespace convoy::sim {
namespace {

bool overlap(const Range& a, const Range& b) {
  return a.begin < b.begin + b.bytes && b.begin < a.begin + a.bytes;
}

bool covers(const Range& outer, const Range& inner) {
  return outer.begin <= inner.begin && outer.begin + outer.bytes >= inner.begin + inner.bytes;
}

}  // namespace

void Accesses::add(const Operation& operation, const Clock& clock,
                   const std::vector<Range>& ranges) {
  for (const Range& range : ranges) {
    for (const Access& before : known_) {
      if (!overlap(before.range, range) || !(before.range.writes || range.writes)) continue;
      if (clock.has(before.by.at)) continue;
      throw_error(
          fmt::format("streams: a missing event wait: {} {} memory that was {} by {}, and nothing "
                      "orders the two; record an event after the first and let stream {} wait for "
                      "it",
                      describe(operation), range.writes ? "writes" : "reads",
                      before.range.writes ? "written" : "read", describe(before.by),
                      operation.at.stream),
          ErrorKind::failure, operation.where);
    }
  }
  for (const Range& range : ranges) {
    // Whoever conflicts with one of these conflicts with the new access too.
    std::erase_if(known_, [&](const Access& before) {
      const bool replaces =
          range.writes || (!before.range.writes && before.by.at.stream == operation.at.stream);
      return replaces && covers(range, before.range) && clock.has(before.by.at);
    });
    known_.push_back({range, operation});
  }
}

void Accesses::forget_known(const Clock& host) {
  std::erase_if(known_, [&](const Access& access) { return host.has(access.by.at); });
}

std::vector<Accesses::Access> Accesses::overlapping(const void* begin, std::size_t bytes) const {
  std::vector<Access> found;
  const Range range{static_cast<const char*>(begin), bytes, false};
  for (const Access& access : known_) {
    if (overlap(access.range, range)) found.push_back(access);
  }
  return found;
}

}  // namespace convoy::sim
