// SPDX-License-Identifier: MIT
#pragma once
// What stands behind the handles of cuda_runtime.h: one process's view of its simulated GPUs.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kernels/sim/capture.h"
#include "kernels/sim/cuda_runtime.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/streams.h"

namespace convoy::on_sim {

struct SimStream {
  unsigned number = 0;
  int device = 0;
  std::optional<Where> destroyed;
  std::shared_ptr<sim::Capture> capture;  // while it captures
  unsigned lane = 0;
};

struct SimEvent {
  int device = 0;
  std::optional<Where> destroyed;
  std::optional<sim::Mark> recorded;
  std::shared_ptr<sim::Capture> capture;  // when it was recorded in one
};

struct SimGraph {
  std::optional<Where> destroyed;
  std::shared_ptr<const sim::Capture> capture;
};

struct SimGraphExec {
  std::optional<Where> destroyed;
  std::unique_ptr<sim::Replay> replay;
};

// Handles that are in use, and for a while those that are not any more, so that a use after the
// end has an error of its own.
template <class T>
class Handles {
 public:
  T* make() {
    auto object = std::make_unique<T>();
    T* handle = object.get();
    known_[handle] = std::move(object);
    return handle;
  }
  // Throws Error for what is not a handle, or not any more.
  T& expect(T* handle, const char* op, const char* what, const Where& where);
  void destroy(T& object, const Where& where) {
    object.destroyed = where;
    ended_.push_back(&object);
    if (ended_.size() <= kRemembered) return;
    known_.erase(ended_.front());
    ended_.pop_front();
  }

  template <class Visit>
  void for_each(const Visit& visit) {
    for (auto& [handle, object] : known_) visit(*object);
  }

 private:
  static constexpr std::size_t kRemembered = 1024;
  std::unordered_map<T*, std::unique_ptr<T>> known_;
  std::deque<T*> ended_;
};

// A block that the caching allocator has taken back, or what of it is not in use again.
struct ReleasedBlock {
  std::size_t bytes = 0;
  sim::Point at;
  std::shared_ptr<sim::Capture> capture;  // `at` is a point of it
  Where where;
  unsigned stream = 0;
};
using ReleasedBlocks = std::map<char*, ReleasedBlock>;  // none overlaps another

struct RuntimeState {
  RuntimeState();

  // Held through every call, the work that runs in it included.
  std::mutex mutex;
  sim::Streams streams;
  SimStream null_stream;
  Handles<SimStream> stream_handles;
  Handles<SimEvent> event_handles;
  Handles<SimGraph> graph_handles;
  Handles<SimGraphExec> exec_handles;
  std::vector<std::shared_ptr<sim::Capture>> captures;  // under way
  ReleasedBlocks released;
  std::unordered_map<int, cudaError_t> broken;  // devices, and what every call there returns

  SimStream& stream(cudaStream_t handle, const char* op, const Where& where);
  SimEvent& event(cudaEvent_t handle, const char* op, const Where& where);
  // Enqueues, or writes down where the stream captures.
  sim::Mark add(SimStream& stream, const sim::Request& request);
  // Throws Error, and ends them, where a capture under way does not allow the call.
  void forbid_during_capture(const char* op, const Where& where) const;
};

RuntimeState& state();
// The calling thread's.
int current_device();
// What the current device answers to every call: cudaSuccess, unless it is broken.
cudaError_t answer(const RuntimeState& state);
[[noreturn]] void fault(std::string text, const Where& where);

template <class T>
T& Handles<T>::expect(T* handle, const char* op, const char* what, const Where& where) {
  const auto found = known_.find(handle);
  if (found == known_.end()) {
    fault(std::string(op) + ": expects " + what + ", found an unknown handle", where);
  }
  if (found->second->destroyed) {
    fault(std::string(op) + ": expects " + what + ", found one that was destroyed at " +
              sim::place(*found->second->destroyed),
          where);
  }
  return *found->second;
}

}  // namespace convoy::on_sim
