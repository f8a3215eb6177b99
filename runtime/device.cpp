// SPDX-License-Identifier: MIT
#include "runtime/device.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "runtime/cuda_info.h"
#include "runtime/device_gpu.h"
#include "runtime/stream.h"

namespace convoy {
namespace {

thread_local std::vector<Stream> scopes;

std::string available_names() {
  std::string names;
  for (const Device& device : available_devices()) {
    names += (names.empty() ? "" : ", ") + to_text(device);
  }
  return names;
}

}  // namespace

void* DeviceBackend::allocate_pinned(std::size_t bytes) {
  return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
}
void DeviceBackend::release_pinned(void* memory, std::size_t) noexcept { std::free(memory); }

double DeviceBackend::seconds_between(void*, void*) {
  fail("device: {} has no clock of its own", description());
}

void DeviceBackend::begin_capture(const Stream&, Where) {
  fail("graph: {} does its work as it is called and has nothing to capture", description());
}
void* DeviceBackend::end_capture(const Stream&) { return nullptr; }

void DeviceBackend::defer(std::exception_ptr error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
  } catch (...) {
  }
  const std::lock_guard lock(deferred_mutex_);
  if (!deferred_) deferred_ = std::move(error);
}

void DeviceBackend::throw_deferred() {
  const std::lock_guard lock(deferred_mutex_);
  if (deferred_) std::rethrow_exception(std::exchange(deferred_, nullptr));
}

DeviceBackend& backend(const Device& device) {
  if (device.type == DeviceType::cpu) return cpu_backend();
  if constexpr (kHasSim) {
    if (device.type == DeviceType::sim) return on_sim::gpu_backend(device.index);
  }
  if constexpr (kHasCuda) {
    if (device.type == DeviceType::cuda) return on_cuda::gpu_backend(device.index);
  }
  fail("device: this build has no {}; available: {}", device, available_names());
}

std::vector<Device> available_devices() {
  std::vector<Device> devices{Device{}};
  if constexpr (kHasSim) {
    for (int i = 0; i < on_sim::gpu_count(); ++i) devices.push_back({DeviceType::sim, i});
  }
  if constexpr (kHasCuda) {
    for (int i = 0; i < on_cuda::gpu_count(); ++i) devices.push_back({DeviceType::cuda, i});
  }
  return devices;
}

std::string why_no_gpu() {
  if constexpr (kHasCuda) {
    return on_cuda::problem();
  } else {
    return "this build was made without nvcc";
  }
}

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
  const std::string why = why_no_gpu();
  if (kind == "cuda" && !why.empty()) {
    fail_usage("--device {}: no CUDA device can be used here ({}); available: {}", text, why,
               available_names());
  }
  fail_usage("--device expects one of {}, found '{}'", available_names(), text);
}

Stream current_stream(const Device& device) {
  if (device.type == DeviceType::cpu) return {};
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    if (scope->device == device) return *scope;
  }
  return backend(device).default_stream();
}

StreamScope::StreamScope(const Stream& stream) { scopes.push_back(stream); }
StreamScope::~StreamScope() { scopes.pop_back(); }

}  // namespace convoy
