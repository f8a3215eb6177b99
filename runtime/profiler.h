// SPDX-License-Identifier: MIT
#pragma once
// A profiler that costs one branch while it is off. On, it keeps a span per kernel and per backward
// node, and writes Chrome's trace format (open it in chrome://tracing or Perfetto).
//
//   Profiler::start();  ...  Profiler::write("trace.json");

#include <atomic>
#include <cstdint>
#include <string>

#include "kernels/base.h"

namespace convoy {

class Profiler {
 public:
  static void start();
  static void stop();
  static bool enabled() { return enabled_.load(std::memory_order_relaxed); }
  // Writes what was recorded since start(); throws Error when the file cannot be written.
  static void write(const std::string& path);

 private:
  static std::atomic<bool> enabled_;
};

// The time between its construction and destruction, named `name` (which must outlive the trace),
// on `device`'s row.
class ProfileSpan {
 public:
  ProfileSpan(const char* name, const Device& device) {
    if (Profiler::enabled()) begin(name, device);
  }
  ~ProfileSpan() {
    if (name_ != nullptr) end();
  }
  ProfileSpan(const ProfileSpan&) = delete;
  ProfileSpan& operator=(const ProfileSpan&) = delete;

 private:
  void begin(const char* name, const Device& device);
  void end();

  const char* name_ = nullptr;
  Device device_;
  std::int64_t start_ns_ = 0;
};

}  // namespace convoy
