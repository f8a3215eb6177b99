// SPDX-License-Identifier: MIT
#include "kernels/sim/access/report.h"

#include <execinfo.h>

#include "kernels/require.h"
#include "kernels/sim/access/operations.h"
#include "kernels/sim/access/order.h"
#include "kernels/sim/access/symbols.h"
#include "kernels/sim/access/works.h"
#include "kernels/sim/scheduler.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim::access {
namespace {

std::string verb(Kind kind) {
  switch (kind) {
    case Kind::read:
      return "reads";
    case Kind::write:
      return "writes";
    case Kind::atomic_read:
      return "reads atomically";
    case Kind::atomic_write:
    case Kind::atomic_update:
      return "changes atomically";
  }
  return "";
}

const BlockShadow* home_of(const Access& access) {
  const BlockShadow* home = access.actor.home;
  if (home == nullptr || home->begin == nullptr) return nullptr;
  const auto offset = access.address - home->begin;
  const bool inside = offset >= 0 && static_cast<std::size_t>(offset) <= home->bytes;
  return inside ? home : nullptr;
}

// "at offset 16 of shared memory", "at byte 8 of the device allocation of 64 bytes made at a.cpp:3"
std::string place_of(const Access& access) {
  if (const BlockShadow* home = home_of(access)) {
    return fmt::format("at offset {} of shared memory", access.address - home->begin);
  }
  if (const auto found = find(access.address)) {
    return fmt::format("at byte {} of {}", access.address - found->begin, describe(*found));
  }
  return is_simulated(access.address) ? "where no allocation is"
                                      : "of another block's shared memory";
}

// "reads 4 bytes at ..., at kernels/gpu/a.cu:3"
std::string what_happens(const Access& access) {
  std::vector<const void*> callers;
  if (access.from_hook) {
    void* addresses[24];
    const int count = backtrace(addresses, 24);
    // Those of the hook and of this file come first.
    int first = 0;
    for (int i = 0; i < count; ++i) {
      if (where_of(addresses[i]) == access.where + 1) first = i + 1;
    }
    callers.assign(addresses + first, addresses + count);
  }
  std::string text =
      fmt::format("{} {} bytes {}", verb(access.kind), access.bytes, place_of(access));
  if (access.where != 0) text += ", at " + line_of(access.where, callers);
  return text;
}

std::string prefix(const Access& access) {
  const Actor& actor = access.actor;
  const OperationSpan& span = span_of(actor.block);
  if (span.kernel == nullptr) return describe(span);
  return fmt::format("kernel {}, {}", function_name(span.kernel), describe_actor(actor));
}

[[noreturn]] void report(const Access& access, const std::string& text) {
  const Unobserved own_doing;
  Error error(fmt::format("sim: {}: {}", prefix(access), text));
  if (!access.from_hook) throw error;
  current_gang().abandon(std::make_exception_ptr(std::move(error)));
}

}  // namespace

void report_outside(const Access& access, const BlockShadow& block) {
  const auto offset = access.address - block.begin;
  report(access,
         fmt::format("out of bounds: {} {} bytes at offset {} of shared memory, which has {} "
                     "bytes{}",
                     verb(access.kind), access.bytes, offset, block.bytes,
                     access.where != 0 ? ", at " + line_of(access.where) : ""));
}

void report_outside(const Access& access, const std::optional<Allocation>& nearest) {
  const bool freed = nearest && !nearest->live;
  report(access, (freed ? "after free: " : "out of bounds: ") + what_happens(access));
}

void report_foreign(const Access& access) {
  const Unobserved own_doing;
  if (!is_kernel_code(access.where)) return;
  report(access, fmt::format("host memory: {} {} bytes at {}, which is neither the device's nor "
                             "shared, at {}",
                             verb(access.kind), access.bytes,
                             static_cast<const void*>(access.address), line_of(access.where)));
}

void report_too_early(const Access& access) {
  report(access,
         fmt::format("too early: {}, before previous_kernel_wait(): in a programmatic launch "
                     "the stream's previous kernel may still run",
                     what_happens(access)));
}

void report_unwritten(const Access& access, std::size_t byte) {
  report(access, fmt::format("unwritten: {}; nobody has written byte {} of them so far",
                             what_happens(access), byte));
}

void report_misaligned(const Access& access, std::size_t alignment, const Site& site) {
  report(access, fmt::format("misaligned access {}, which is not a multiple of {}, at {}",
                             place_of(access), alignment, to_text(site)));
}

void report_undefined(Actor& actor, const char* what, const Site& site) {
  report({actor, nullptr, 0, Kind::read, 0, true}, fmt::format("{}, at {}", what, to_text(site)));
}

void report_unfenced(const Access& access, const Epoch& write) {
  report(access,
         fmt::format("a missing proxy fence: {}, which {} wrote at {}, and no fence.proxy.async "
                     "stands between them",
                     what_happens(access), describe_actor(write), line_of(write.where)));
}

void report_race(const Access& access, const Epoch& before, const char* did, bool recycled) {
  const std::string line = before.where == 0 ? "" : " at " + line_of(before.where);
  if (in_current_operation(before.block)) {
    report(access, fmt::format("race: {}, which {} {}{}, and nothing orders the two",
                               what_happens(access), describe_actor(before), did, line));
  }
  const std::string other = describe(span_of(before.block));
  if (recycled || access.recycles) {
    report(access, fmt::format("a block recycled across streams: {}, which {} {}{}, and nothing "
                               "orders the two",
                               what_happens(access), other, recycled ? "gave back" : did, line));
  }
  report(access, fmt::format("a missing event wait: {}, which {} {}{}, and nothing orders the two",
                             what_happens(access), other, did, line));
}

}  // namespace convoy::sim::access
