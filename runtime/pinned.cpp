// SPDX-License-Identifier: MIT
#include "runtime/pinned.h"

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/per_device.h"
#include "runtime/size_class.h"

namespace convoy {
namespace {

class PinnedPool {
 public:
  explicit PinnedPool(DeviceBackend& backend) : backend_(backend) {}

  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    std::vector<void*>& unused = unused_[size];
    if (!unused.empty()) {
      void* data = unused.back();
      unused.pop_back();
      return data;
    }
    void* data = backend_.allocate_pinned(size);
    require(data != nullptr, "pinned memory: no room for {} bytes", size);
    return data;
  }

  void give_back(void* data, std::size_t size) {
    const std::lock_guard lock(mutex_);
    unused_[size].push_back(data);
  }

  void trim() noexcept {
    const std::lock_guard lock(mutex_);
    for (auto& [size, unused] : unused_) {
      for (void* data : unused) backend_.release_pinned(data, size);
      unused.clear();
    }
  }

 private:
  DeviceBackend& backend_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> unused_;  // by size class
};

PinnedPool& pool(DeviceBackend& backend) {
  return per_device<PinnedPool>(backend.default_stream().device,
                                [&] { return new PinnedPool(backend); });
}

}  // namespace

PinnedBuffer::PinnedBuffer(const Device& device, std::size_t bytes)
    : PinnedBuffer(backend(device), bytes) {}

PinnedBuffer::PinnedBuffer(DeviceBackend& backend, std::size_t bytes)
    : backend_(&backend), bytes_(bytes) {
  if (bytes > 0) data_ = pool(backend).take(size_class(bytes));
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) pool(*backend_).give_back(data_, size_class(bytes_));
}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : backend_(other.backend_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(backend_, other.backend_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void trim_pinned(DeviceBackend& backend) noexcept { pool(backend).trim(); }

}  // namespace convoy
