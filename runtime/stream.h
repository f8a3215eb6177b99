// SPDX-License-Identifier: MIT
#pragma once
// Streams and events as owners. Work on one stream runs in order; an event orders two streams, or
// a stream and the host. On cpu all of it is free: its one stream is the calling thread.
//
//   OwnedStream copies(device);
//   Event copied(device);
//   { const StreamScope on(copies.get()); input.copy_(batch); }
//   copied.record(copies.get());
//   copied.hold(current_stream(device));        // later work there waits for the copy

#include <source_location>
#include <utility>

#include "runtime/device.h"

namespace convoy {

// This thread's ops on the stream's device run on it while the scope lasts.
class StreamScope {
 public:
  explicit StreamScope(const Stream& stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;
};

class OwnedStream {
 public:
  explicit OwnedStream(DeviceBackend& of) : backend_(of), stream_(of.take_stream()) {}
  explicit OwnedStream(const Device& device) : OwnedStream(backend(device)) {}
  // What is enqueued on it still runs.
  ~OwnedStream() { backend_.give_back(stream_); }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;

  const Stream& get() const { return stream_; }

 private:
  DeviceBackend& backend_;
  Stream stream_;
};

// A point in a stream's work. One that was never recorded has passed.
class Event {
 public:
  using Where = std::source_location;

  explicit Event(DeviceBackend& of) : backend_(&of), handle_(of.create_event()) {}
  explicit Event(const Device& device) : Event(backend(device)) {}
  ~Event() {
    if (handle_ != nullptr) backend_->destroy_event(handle_);
  }
  Event(Event&& other) noexcept
      : backend_(other.backend_), handle_(std::exchange(other.handle_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(handle_, other.handle_);
    return *this;
  }

  // After all that the stream has been given so far.
  void record(const Stream& stream, Where where = Where::current()) {
    backend_->record(handle_, stream, where);
  }
  // What the stream is given from now on waits for it.
  void hold(const Stream& stream, Where where = Where::current()) {
    backend_->wait(stream, handle_, where);
  }
  bool has_passed() const { return backend_->has_passed(handle_); }
  // The host waits for it.
  void synchronize() const { backend_->synchronize_event(handle_); }
  // The same in a destructor, whose memory must outlive a copy: what goes wrong is left for the
  // next call that may throw.
  void settle() const noexcept {
    try {
      synchronize();
    } catch (...) {
      backend_->defer(std::current_exception());
    }
  }

 private:
  DeviceBackend* backend_;
  void* handle_;
};

}  // namespace convoy
