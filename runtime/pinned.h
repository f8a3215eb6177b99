// SPDX-License-Identifier: MIT
#pragma once
// Page-locked host memory, which copies to and from a device need not stage. The device keeps what
// is given back, since locking pages is slow. The owner waits for copies that use a buffer before
// it writes to it again or lets go of it.
//
//   PinnedBuffer batch(device, bytes);
//   backend(device).copy(x, batch.data(), batch.bytes(), copies);

#include <cstddef>

#include "runtime/device.h"

namespace convoy {

class PinnedBuffer {
 public:
  PinnedBuffer(const Device& device, std::size_t bytes);
  PinnedBuffer(DeviceBackend& backend, std::size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  DeviceBackend* backend_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Gives the device's unused buffers back to the system.
void trim_pinned(DeviceBackend& backend) noexcept;

}  // namespace convoy
