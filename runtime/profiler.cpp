// SPDX-License-Identifier: MIT
#include "runtime/profiler.h"

#include <chrono>
#include <cstdio>
#include <mutex>
#include <vector>

namespace convoy {
namespace {

struct Span {
  const char* name;
  Device device;
  std::uint32_t thread;
  std::int64_t start_ns, duration_ns;
};

struct Trace {
  std::mutex mutex;
  std::vector<Span> spans;
  std::int64_t origin_ns = 0;
};
Trace& trace() {
  static Trace& instance = *new Trace;
  return instance;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::uint32_t thread_number() {
  static std::atomic<std::uint32_t> next{0};
  thread_local const std::uint32_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

std::atomic<bool> Profiler::enabled_{false};

void Profiler::start() {
  const std::lock_guard lock(trace().mutex);
  trace().spans.clear();
  trace().origin_ns = now_ns();
  enabled_ = true;
}

void Profiler::stop() { enabled_ = false; }

void Profiler::write(const std::string& path) {
  const std::lock_guard lock(trace().mutex);
  std::string text = "{\"traceEvents\":[";
  for (const Span& s : trace().spans) {
    text += fmt::format(
        "{}\n{{\"name\":\"{}\",\"cat\":\"{}\",\"ph\":\"X\",\"ts\":{:.3f},\"dur\":{:.3f},"
        "\"pid\":\"{}\",\"tid\":{}}}",
        &s == trace().spans.data() ? "" : ",", s.name, name(s.device.type),
        static_cast<double>(s.start_ns - trace().origin_ns) / 1e3,
        static_cast<double>(s.duration_ns) / 1e3, s.device, s.thread);
  }
  text += "\n],\"displayTimeUnit\":\"ms\"}\n";
  std::FILE* file = std::fopen(path.c_str(), "w");
  require(file != nullptr, "profiler: cannot write the trace to {}", path);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  require((std::fclose(file) == 0) && written, "profiler: writing the trace to {} failed", path);
}

void ProfileSpan::begin(const char* name, const Device& device) {
  name_ = name;
  device_ = device;
  start_ns_ = now_ns();
}

void ProfileSpan::end() {
  const std::int64_t stop_ns = now_ns();
  const std::lock_guard lock(trace().mutex);
  trace().spans.push_back({name_, device_, thread_number(), start_ns_, stop_ns - start_ns_});
}

}  // namespace convoy
