// SPDX-License-Identifier: MIT
#pragma once
// Shared by the simulator's tests: schedules to run over, and errors to read.

#include <gtest/gtest.h>

#include <source_location>
#include <string>

#include "kernels/gpu/target.h"

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

// The text of the Error that body throws; empty if it throws none.
template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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
