// SPDX-License-Identifier: MIT
#pragma once
// Devices as the runtime sees them: raw memory, copies, streams. cpu is filled in here; sim and
// cuda fill the same interface, and nothing above this file asks which one it has.
//
//   const Device device = parse_device("cuda:1");       // fail_usage on nonsense
//   backend(device).copy(dst, src, bytes, current_stream(device));

#include <cstddef>
#include <exception>
#include <mutex>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base.h"

namespace convoy {

class DeviceBackend {
 public:
  using Where = std::source_location;

  virtual ~DeviceBackend() = default;

  // Raw device memory, 256-byte aligned; nullptr when there is none left. The caching
  // allocator (runtime/allocator.h) is the only caller.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory, std::size_t bytes) noexcept = 0;

  // Copies between any two of host and device memory, in stream order. Host memory must stay, and
  // stay as it is, until the stream has passed.
  virtual void copy(void* to, const void* from, std::size_t bytes, const Stream& stream,
                    Where where = Where::current()) = 0;
  virtual void synchronize(const Stream& stream) = 0;

  virtual Stream default_stream() = 0;
  // True where the host can read device memory through the same pointer.
  virtual bool host_accessible() const = 0;
  virtual std::string description() const = 0;

  // What follows is for devices whose work runs beside the host's. By default a device runs all of
  // it in order as it is called, has one stream, and its events have always passed.
  virtual bool is_asynchronous() const { return false; }

  // Streams are kept when they are given back: memory that was used on one stays theirs
  // (runtime/stream.h has owners for these).
  virtual Stream take_stream() { return default_stream(); }
  virtual void give_back(const Stream&) noexcept {}

  virtual void* create_event() { return nullptr; }
  virtual void destroy_event(void*) noexcept {}
  virtual void record(void*, const Stream&, Where = Where::current()) {}
  virtual void wait(const Stream&, void*, Where = Where::current()) {}
  virtual bool has_passed(void*) { return true; }
  virtual void synchronize_event(void*) {}

  // Events that carry the device's time, for measuring. Both have passed; a device that works as it
  // is called, or has no clock, throws: the caller measures on the host, or not at all.
  virtual void* create_timing_event() { return create_event(); }
  virtual double seconds_between(void* first, void* last);

  // Host memory that copies do not have to stage (runtime/pinned.h).
  virtual void* allocate_pinned(std::size_t bytes);
  virtual void release_pinned(void* memory, std::size_t bytes) noexcept;

  // Between the two, work on the stream, and on streams that wait for its events, is written down
  // instead of done (runtime/graph.h). Devices without graphs throw.
  virtual void begin_capture(const Stream&, Where = Where::current());
  virtual void* end_capture(const Stream&);
  virtual bool is_capturing(const Stream&) { return false; }
  virtual void launch_graph(void*, const Stream&, Where = Where::current()) {}
  virtual void destroy_graph(void*) noexcept {}

  // The caching allocator has taken a block back on a stream, or hands it out there: for a device
  // that checks it.
  virtual void note_released(void*, std::size_t, const Stream&, Where) noexcept {}
  virtual void note_reused(void*, std::size_t, const Stream&, Where) {}
  // Whether this build finds every access outside of allocations: blocks are then allocations of
  // their own.
  virtual bool watches_bounds() const { return false; }

  // An error where nothing may be thrown, such as a destructor: it is printed, and thrown by the
  // next call that may.
  virtual void defer(std::exception_ptr error) noexcept;

 protected:
  void throw_deferred();

 private:
  std::mutex deferred_mutex_;
  std::exception_ptr deferred_;
};

// The backend of a device; throws Error when this build or machine does not have it.
DeviceBackend& backend(const Device& device);
// Every device that this build can run on here.
std::vector<Device> available_devices();
// Why there is no cuda device: this build has none, or CUDA's own words. Empty where there is one.
std::string why_no_gpu();
// "cpu", "sim", "cuda", "cuda:1". Throws a usage error that lists what is available.
Device parse_device(std::string_view text);

// The stream on which this thread's ops run: the device's default one, or a StreamScope's.
Stream current_stream(const Device& device);

// Compute threads of oneDNN and of our loops. The default is what the affinity mask allows.
void set_compute_threads(int count);
int compute_threads();

DeviceBackend& cpu_backend();

}  // namespace convoy
