// SPDX-License-Identifier: MIT
#include "runtime/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string_view>

namespace convoy {
namespace {

bool caching_wanted() {
  const char* choice = std::getenv("CONVOY_ALLOCATOR");
  return choice == nullptr || std::string_view(choice) != "direct";
}

}  // namespace

Allocator::Allocator(DeviceBackend& backend) : backend_(backend), caching_(caching_wanted()) {}

Allocator::~Allocator() { trim(); }

std::size_t Allocator::size_class(std::size_t bytes) {
  std::size_t step = 64;
  if (bytes > 512) step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

Block Allocator::allocate(std::size_t bytes) {
  if (bytes == 0) return {};
  const std::size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  void* data = take_cached(size);
  if (data == nullptr) data = take_from_device(size, bytes);
  ++stats_.allocations;
  stats_.live_bytes += size;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
  return {data, size};
}

void* Allocator::take_cached(std::size_t bytes) {
  const auto found = free_.find(bytes);
  if (found == free_.end() || found->second.empty()) return nullptr;
  void* data = found->second.back();
  found->second.pop_back();
  stats_.cached_bytes -= bytes;
  return data;
}

void* Allocator::take_from_device(std::size_t bytes, std::size_t asked) {
  ++stats_.device_allocations;
  void* data = backend_.allocate(bytes);
  if (data == nullptr) {
    trim_locked();
    data = backend_.allocate(bytes);
  }
  require(
      data != nullptr,
      "allocator: {} has no memory for {} bytes; {} bytes are live and nothing is cached. Use a "
      "smaller batch or model",
      backend_.description(), asked, stats_.live_bytes);
  return data;
}

void Allocator::release(const Block& block) noexcept {
  if (block.data == nullptr) return;
  const std::lock_guard lock(mutex_);
  stats_.live_bytes -= block.bytes;
  if (!caching_) return backend_.release(block.data, block.bytes);
  free_[block.bytes].push_back(block.data);
  stats_.cached_bytes += block.bytes;
}

AllocatorStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_bytes = stats_.live_bytes;
}

void Allocator::trim() noexcept {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void Allocator::trim_locked() noexcept {
  for (auto& [bytes, blocks] : free_) {
    for (void* block : blocks) backend_.release(block, bytes);
    blocks.clear();
  }
  stats_.cached_bytes = 0;
}

Allocator& allocator(const Device& device) {
  // Never destroyed: tensors with static storage may outlive main.
  static Allocator& cpu = *new Allocator(cpu_backend());
  require(device.type == DeviceType::cpu, "allocator: no allocator for device {}", device);
  return cpu;
}

}  // namespace convoy
