// SPDX-License-Identifier: MIT
#include "runtime/device.h"

#include <charconv>

namespace convoy {
namespace {

std::string available_names() {
  std::string names;
  for (const Device& device : available_devices()) {
    names += (names.empty() ? "" : ", ") + to_text(device);
  }
  return names;
}

}  // namespace

DeviceBackend& backend(const Device& device) {
  if (device.type == DeviceType::cpu) return cpu_backend();
  fail("device: this build has no {}; available: {}", device, available_names());
}

std::vector<Device> available_devices() { return {Device{DeviceType::cpu, 0}}; }

Device parse_device(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  for (const Device& device : available_devices()) {
    if (kind != name(device.type)) continue;
    Device found = device;
    if (colon != std::string_view::npos) {
      const std::string_view digits = text.substr(colon + 1);
      const char* end = digits.data() + digits.size();
      const auto [stop, error] = std::from_chars(digits.data(), end, found.index);
      if (error != std::errc{} || stop != end) break;
    }
    for (const Device& d : available_devices()) {
      if (d == found) return found;
    }
  }
  if (kind == "cuda") {
    fail_usage("--device {}: no CUDA device can be used here; available: {}", text,
               available_names());
  }
  fail_usage("--device expects one of {}, found '{}'", available_names(), text);
}

Stream current_stream(const Device& device) { return backend(device).default_stream(); }

}  // namespace convoy
