// SPDX-License-Identifier: MIT
#pragma once
// Tests of the access checker: device memory whose writes are known, errors that must have all of
// some parts in every order, and lines of faults.

#include <string>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::testing {

inline constexpr int kThreads = 64;

// Memory of the simulated device. Nobody has written it.
template <class T>
class DeviceMemory {
 public:
  explicit DeviceMemory(int count)
      : bytes_(static_cast<std::size_t>(count) * sizeof(T)),
        data_(static_cast<T*>(sim::allocate(bytes_))) {}
  ~DeviceMemory() { sim::release(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  T* data() const { return data_; }
  // As a copy from the host leaves it.
  DeviceMemory& write_zeros() {
    std::fill_n(data_, bytes_ / sizeof(T), T{});
    sim::memory_observer()->filled(data_, bytes_);
    return *this;
  }

 private:
  std::size_t bytes_;
  T* data_;
};

// What an error must say: a text, or the line of a fault, which is known once its kernel ran.
struct Part {
  std::string text;
  const int* line = nullptr;
  Part(const char* t) : text(t) {}
  Part(std::string t) : text(std::move(t)) {}
  Part(const int* l) : line(l) {}
  std::string wanted() const {
    return line == nullptr ? text : "_test.cpp:" + std::to_string(*line);
  }
};

// Runs in every order, the seeded ones with 50 seeds; each time the error has all the parts.
template <class Body>
void expect_error(Body body, const std::vector<Part>& parts) {
  over_schedules(
      [&] {
        const std::string found = error_of(body);
        for (const Part& part : parts) {
          ASSERT_TRUE(contains(found, part.wanted()))
              << "expected: " << part.wanted() << "\nfound: " << found;
        }
      },
      50);
}
template <class Body>
void expect_silence(Body body) {
  over_schedules([&] { ASSERT_EQ(error_of(body), ""); }, 50);
}

// Remembers the number of the line behind it.
#define LINE_BEHIND(name) name = __LINE__ + 1

}  // namespace convoy::testing
