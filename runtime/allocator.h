// SPDX-License-Identifier: MIT
#pragma once
// Caching allocator: freed blocks are kept by size class and handed out again, so that a training
// step after the first asks the device for nothing. One per device.
//
//   Block block = allocator(device).allocate(bytes);   // Error with figures when memory is out
//   allocator(device).release(block);
//
// CONVOY_ALLOCATOR=direct switches the cache off, so that AddressSanitizer sees every use of a
// freed block.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/device.h"

namespace convoy {

struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;  // of the size class, at least what was asked for
};

struct AllocatorStats {
  std::size_t live_bytes = 0;           // in use now
  std::size_t peak_bytes = 0;           // most in use since reset_peak
  std::size_t cached_bytes = 0;         // free, kept for reuse
  std::int64_t allocations = 0;         // requests served
  std::int64_t device_allocations = 0;  // of which the device had to be asked
};

class Allocator {
 public:
  explicit Allocator(DeviceBackend& backend);
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // 0 bytes gives a null block. Out of memory: the cache is freed and the device asked once more;
  // then an Error says how much was asked for and how much is live.
  Block allocate(std::size_t bytes);
  void release(const Block& block) noexcept;

  AllocatorStats stats() const;
  void reset_peak();
  // Gives every cached block back to the device.
  void trim() noexcept;

  // Multiples of 64 bytes up to 512, then eight classes per power of two: at most 12.5 % is lost.
  static std::size_t size_class(std::size_t bytes);

 private:
  void* take_cached(std::size_t bytes);
  void* take_from_device(std::size_t bytes, std::size_t asked);
  void trim_locked() noexcept;

  DeviceBackend& backend_;
  bool caching_;
  mutable std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> free_;
  AllocatorStats stats_;
};

Allocator& allocator(const Device& device);

// Scratch memory of one launch.
class Workspace {
 public:
  Workspace(const Device& device, std::size_t bytes) : device_(device) {
    if (bytes > 0) block_ = allocator(device).allocate(bytes);
  }
  ~Workspace() {
    if (block_.data != nullptr) allocator(device_).release(block_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return block_.data; }

 private:
  Device device_;
  Block block_;
};

}  // namespace convoy
