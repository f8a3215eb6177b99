// SPDX-License-Identifier: MIT
#pragma once
// Shared by the simulator's tests: schedules to run over, and faults that must be noticed.

#include <gtest/gtest.h>

#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "kernels/gpu/target.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/stream_order.h"
#include "tests/support/errors.h"
#include "tests/support/seeds.h"

namespace convoy::testing {

inline const Stream kSimStream{{DeviceType::sim}};

// Ascending, descending, and seeded with `seeds` seeds, each with every async mode.
template <class Body>
void over_schedules(Body body, std::uint64_t seeds = 3) {
  using sim::Async;
  using sim::Schedule;
  for (const Async async : {Async::eager, Async::late, Async::seeded}) {
    for (const Schedule schedule : {Schedule::ascending, Schedule::descending, Schedule::seeded}) {
      const bool seeded = schedule == Schedule::seeded || async == Async::seeded;
      for (std::uint64_t seed = 0; seed < (seeded ? seeds : 1); ++seed) {
        sim::options() = {.schedule = schedule, .async = async, .seed = seed};
        SCOPED_TRACE(::testing::Message() << "schedule " << static_cast<int>(schedule) << ", async "
                                          << static_cast<int>(async) << ", seed " << seed);
        body();
      }
    }
  }
  sim::options() = {};
}

// A vector that kernels may be given: in the simulated device's memory. What the host writes there
// is not seen, so that all of it counts as written.
template <class T>
struct DeviceAllocator {
  using value_type = T;
  DeviceAllocator() = default;
  template <class U>
  DeviceAllocator(const DeviceAllocator<U>&) {}

  T* allocate(std::size_t count) {
    void* memory = sim::allocate(count * sizeof(T));
    if (auto* observer = sim::memory_observer()) observer->filled(memory, count * sizeof(T));
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { sim::release(memory); }
  friend bool operator==(const DeviceAllocator&, const DeviceAllocator&) { return true; }
};
template <class T>
using DeviceVector = std::vector<T, DeviceAllocator<T>>;

// Whether a planted fault shows: in the result, or under the access checker as an Error before it.
template <class Body>
bool shows(Body result_is_wrong) {
  if (!sim::access::kEnabled) return result_is_wrong();
  bool wrong = false;
  return !error_of([&] { wrong = result_is_wrong(); }).empty() || wrong;
}

// A planted fault must give this text, at this line, whatever the schedule.
#define EXPECT_FAULT(body, part, line)                                              \
  ::convoy::testing::over_schedules([&] {                                           \
    const std::string found = ::convoy::testing::error_of(body);                    \
    EXPECT_TRUE(::convoy::testing::contains(found, part))                           \
        << "expected: " << part << "\nfound: " << found;                            \
    EXPECT_TRUE(::convoy::testing::contains(found, ".cpp:" + std::to_string(line))) \
        << "expected line " << line << "\nfound: " << found;                        \
  })

// The line after it is remembered by a name: FAULT_LINE(kReads) return value[i];
#define LINE_HERE(name) [[maybe_unused]] constexpr int name = __LINE__;

}  // namespace convoy::testing
