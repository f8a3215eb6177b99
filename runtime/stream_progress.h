// SPDX-License-Identifier: MIT
#pragma once
// How far streams have come since memory was given back on them, as far as anyone asked.
//
//   const std::uint64_t number = progress.release(stream);
//   if (progress.has_passed(stream, number)) ...  // what used the memory has ended

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "runtime/stream.h"

namespace convoy {

class StreamProgress {
 public:
  explicit StreamProgress(DeviceBackend& backend) : backend_(backend) {}

  // Counts a release on the stream; 1 is the first.
  std::uint64_t release(void* stream) { return ++streams_[stream].released; }
  // Whether an event recorded after that release has passed. Where none is on its way one is
  // recorded, for the next time. Release 0 is before all work.
  bool has_passed(const Stream& stream, std::uint64_t release);

 private:
  struct Progress {
    std::uint64_t released = 0, passed = 0;
    std::optional<Event> marker;
    std::uint64_t marked = 0;  // `released` when the marker was recorded
  };

  DeviceBackend& backend_;
  std::unordered_map<void*, Progress> streams_;
};

}  // namespace convoy
