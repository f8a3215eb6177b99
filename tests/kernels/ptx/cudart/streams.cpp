// SPDX-License-Identifier: MIT
// Streams, events, and graphs: a capture keeps the tasks of its streams in the order of the calls.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/kernels/ptx/cudart/state.h"

namespace convoy::ptx {
namespace {

using Tasks = std::vector<Task>;
struct StreamState;
using Progress = std::map<StreamState*, std::size_t>;  // tasks of a capture's streams

struct StreamState {
  std::shared_ptr<Tasks> capture;
  StreamState* origin = nullptr;  // where the capture began
  Progress behind;                // what this stream's next task comes after
};

struct EventState {
  std::chrono::steady_clock::time_point time;
  bool has_time = false;
  StreamState at_record;  // of its stream
};

using GraphState = std::shared_ptr<Tasks>;

std::recursive_mutex mutex;
thread_local int captures = 0;

StreamState* state_of(cudaStream_t stream) {
  static StreamState legacy;
  return stream == nullptr ? &legacy : reinterpret_cast<StreamState*>(stream);
}
EventState* state_of(cudaEvent_t event) { return reinterpret_cast<EventState*>(event); }
GraphState* state_of(cudaGraph_t graph) { return reinterpret_cast<GraphState*>(graph); }
GraphState* state_of(cudaGraphExec_t graph) { return reinterpret_cast<GraphState*>(graph); }

// A kernel that fails ends the device, as a GPU's does.
void perform(const Task& task) {
  try {
    task();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ptx: %s\n", error.what());
    end_device(cudaErrorLaunchFailure);
  }
}

void come_after(StreamState& stream, const Progress& others) {
  for (const auto& [other, tasks] : others) {
    auto& known = stream.behind[other];
    known = std::max(known, tasks);
  }
}

// Takes the capture's other streams out of it. False: one has tasks that the origin did not wait
// for.
bool leave_capture(StreamState& origin) {
  bool joined = true;
  for (const auto& [stream, tasks] : origin.behind) {
    if (stream == &origin) continue;
    joined = joined && stream->behind[stream] <= tasks;
    *stream = {};
  }
  return joined;
}

}  // namespace

bool thread_captures() { return captures > 0; }

cudaError_t enqueue(cudaStream_t stream, Task task) {
  const std::lock_guard lock(mutex);
  if (const cudaError_t end = end_of_device(); end != cudaSuccess) return end;
  StreamState& s = *state_of(stream);
  if (s.capture) {
    s.capture->push_back(std::move(task));
    ++s.behind[&s];
  } else {
    perform(task);
  }
  return cudaSuccess;
}

}  // namespace convoy::ptx

using namespace convoy::ptx;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(new StreamState);
  return end_of_device();
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (state_of(stream)->capture) return failed(cudaErrorStreamCaptureUnsupported);
  return end_of_device();
}
cudaError_t cudaDeviceSynchronize() { return end_of_device(); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  auto* made = new EventState;
  made->has_time = (flags & cudaEventDisableTiming) == 0;
  *event = reinterpret_cast<cudaEvent_t>(made);
  return end_of_device();
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete state_of(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  state_of(event)->time = std::chrono::steady_clock::now();
  state_of(event)->at_record = *state_of(stream);
  return end_of_device();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  if (state_of(event)->at_record.capture) return failed(cudaErrorCapturedEvent);
  return end_of_device();
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first, cudaEvent_t last) {
  const EventState &a = *state_of(first), &b = *state_of(last);
  if (!a.has_time || !b.has_time) return failed(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(b.time - a.time).count();
  return end_of_device();
}
// A stream that waits for an event of a capture takes part in it.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(mutex);
  const StreamState& before = state_of(event)->at_record;
  StreamState& s = *state_of(stream);
  if (s.capture && s.capture != before.capture) return failed(cudaErrorStreamCaptureIsolation);
  if (before.capture) {
    s.capture = before.capture, s.origin = before.origin;
    s.behind[&s] += 0;
    come_after(s, before.behind);
  }
  return end_of_device();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(mutex);
  StreamState& s = *state_of(stream);
  if (s.capture) return failed(cudaErrorIllegalState);
  s = {std::make_shared<Tasks>(), &s, {{&s, 0}}};
  ++captures;
  return end_of_device();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(mutex);
  StreamState& s = *state_of(stream);
  if (s.origin != &s) return failed(cudaErrorIllegalState);
  --captures;
  const bool joined = leave_capture(s);
  auto* made = new GraphState(s.capture);
  s = {};
  *graph = reinterpret_cast<cudaGraph_t>(made);
  return joined ? end_of_device() : failed(cudaErrorStreamCaptureUnjoined);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(mutex);
  *status = state_of(stream)->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return end_of_device();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = reinterpret_cast<cudaGraphExec_t>(new GraphState(*state_of(graph)));
  return end_of_device();
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete state_of(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete state_of(exec);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return enqueue(stream, [tasks = *state_of(exec)] {
    for (const Task& task : *tasks) task();
  });
}

}  // extern "C"
