// SPDX-License-Identifier: MIT
#include "runtime/stream_progress.h"

namespace convoy {

bool StreamProgress::has_passed(const Stream& stream, std::uint64_t release) {
  Progress& progress = streams_[stream.handle];
  if (progress.marker && progress.marker->has_passed()) {
    progress.passed = progress.marked;
    progress.marker.reset();
  }
  if (release <= progress.passed) return true;
  if (!progress.marker) {
    progress.marker.emplace(backend_);
    progress.marker->record(stream);
    progress.marked = progress.released;
  }
  return false;
}

}  // namespace convoy
