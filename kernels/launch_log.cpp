// SPDX-License-Identifier: MIT
#include "kernels/launch_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "kernels/require.h"

namespace convoy {
namespace {

constexpr std::uint64_t kKept = 12;

struct Ring {
  std::array<std::pair<const char*, const char*>, kKept> launches;
  std::uint64_t count = 0;
};

std::mutex mutex;

Ring& ring_of(const Device& device) {
  static auto& all = *new std::map<std::pair<DeviceType, int>, Ring>;
  return all[{device.type, device.index}];
}

bool says_yes(const char* variable) {
  const char* value = std::getenv(variable);
  const std::string_view said = value == nullptr ? "" : value;
  if (said != "" && said != "0" && said != "1") {
    fail_usage("{} expects 0 or 1, found '{}'", variable, said);
  }
  return said == "1";
}

std::atomic<bool>& waiting() {
  static std::atomic<bool> on = says_yes("CONVOY_SYNC");
  return on;
}

}  // namespace

void note_launch(const Device& device, const char* name, const char* variant) noexcept {
  const std::lock_guard lock(mutex);
  Ring& ring = ring_of(device);
  ring.launches[ring.count++ % kKept] = {name, variant};
}

std::string last_launches(const Device& device) {
  const std::lock_guard lock(mutex);
  const Ring& ring = ring_of(device);
  std::string text;
  for (std::uint64_t i = ring.count - std::min(ring.count, kKept); i < ring.count; ++i) {
    const auto [name, variant] = ring.launches[i % kKept];
    if (!text.empty()) text += ", ";
    text += name;
    if (*variant != 0) text += fmt::format(" ({})", variant);
  }
  return text.empty() ? "nothing" : text;
}

bool launches_wait() { return waiting().load(std::memory_order_relaxed); }
void set_launches_wait(bool on) { waiting() = on; }

bool launches_are_programmatic() {
  static const bool on = says_yes("CONVOY_PROGRAMMATIC");
  return on;
}

std::string text_of_the_end(const Device& device) {
  return fmt::format(
      "{} is of no use to this process any more. Last launched there, the newest last: {}. "
      "CONVOY_SYNC=1 waits for each launch and names the one that failed",
      device, last_launches(device));
}

}  // namespace convoy
