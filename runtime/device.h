// SPDX-License-Identifier: MIT
#pragma once
// Devices as the runtime sees them: raw memory, copies, streams. cpu is filled in here; sim and
// cuda fill the same interface, and nothing above this file asks which one it has.
//
//   const Device device = parse_device("cuda:1");       // fail_usage on nonsense
//   backend(device).copy(dst, src, bytes, current_stream(device));

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base.h"

namespace convoy {

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;

  // Raw device memory, 64-byte aligned at least; nullptr when there is none left. The caching
  // allocator (runtime/allocator.h) is the only caller.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory, std::size_t bytes) noexcept = 0;

  // Copies between any two of host and device memory, in stream order. Host memory must stay
  // until the stream has passed.
  virtual void copy(void* to, const void* from, std::size_t bytes, const Stream& stream) = 0;
  virtual void synchronize(const Stream& stream) = 0;

  virtual Stream default_stream() = 0;
  // True where the host can read device memory through the same pointer.
  virtual bool host_accessible() const = 0;
  virtual std::string description() const = 0;
};

// The backend of a device; throws Error when this build or machine does not have it.
DeviceBackend& backend(const Device& device);
// Every device that this build can run on here.
std::vector<Device> available_devices();
// "cpu", "sim", "cuda", "cuda:1". Throws a usage error that lists what is available.
Device parse_device(std::string_view text);

// The stream on which this thread's ops run.
Stream current_stream(const Device& device);

// Compute threads of oneDNN and of our loops. The default is what the affinity mask allows.
void set_compute_threads(int count);
int compute_threads();

DeviceBackend& cpu_backend();

}  // namespace convoy
