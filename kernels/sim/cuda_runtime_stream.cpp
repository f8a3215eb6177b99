// SPDX-License-Identifier: MIT
// Streams and events of the stand-in for the CUDA runtime.
#include "kernels/require.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/runtime_state.h"

namespace convoy::on_sim {
namespace {

void forbid_while_capturing(const SimStream& stream, const char* op, const Where& where) {
  if (!stream.capture) return;
  stream.capture->invalid = true;
  fault(fmt::format("{}: not allowed on a stream that captures, since {}", op,
                    sim::place(stream.capture->begun())),
        where);
}

void forbid_captured(const SimEvent& event, const char* op, const Where& where) {
  if (!event.capture) return;
  event.capture->invalid = true;
  fault(fmt::format("{}: expects an event recorded outside of a capture, found one recorded in "
                    "the capture that began at {}",
                    op, sim::place(event.capture->begun())),
        where);
}

// A wait inside a capture; a stream that is not in it yet joins it.
void wait_in_capture(SimStream& stream, const SimEvent& event, const Where& where) {
  if (!stream.capture) {
    stream.capture = event.capture;
    stream.lane = stream.capture->add_lane();
  }
  if (stream.capture != event.capture) {
    stream.capture->invalid = true;
    fault(
        "cudaStreamWaitEvent: expects an event of the stream's own capture, found one from "
        "outside",
        where);
  }
  stream.capture->add(stream.lane, {}, {*event.recorded});
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags, Where) {
  if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  *handle = s.stream_handles.make();
  (*handle)->number = s.streams.create();
  (*handle)->device = current_device();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimStream& stream = s.stream_handles.expect(handle, "cudaStreamDestroy", "a stream", where);
  forbid_while_capturing(stream, "cudaStreamDestroy", where);
  s.streams.destroy(stream.number);
  s.stream_handles.destroy(stream, where);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  const SimStream& stream = s.stream(handle, "cudaStreamSynchronize", where);
  forbid_while_capturing(stream, "cudaStreamSynchronize", where);
  s.forbid_during_capture("cudaStreamSynchronize", where);
  s.streams.wait(s.streams.latest(stream.number));
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  const SimStream& stream = s.stream(handle, "cudaStreamQuery", where);
  forbid_while_capturing(stream, "cudaStreamQuery", where);
  s.forbid_during_capture("cudaStreamQuery", where);
  return s.streams.poll(s.streams.latest(stream.number)) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned,
                                Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  SimStream& stream = s.stream(handle, "cudaStreamWaitEvent", where);
  const SimEvent& event = s.event(event_handle, "cudaStreamWaitEvent", where);
  if (!event.recorded) return cudaSuccess;
  if (stream.capture || event.capture) {
    wait_in_capture(stream, event, where);
  } else {
    s.streams.enqueue(stream.number, {}, {*event.recorded});
  }
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned, Where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  *handle = s.event_handles.make();
  (*handle)->device = current_device();
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  s.event_handles.destroy(s.event(handle, "cudaEventDestroy", where), where);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  SimEvent& event = s.event(handle, "cudaEventRecord", where);
  SimStream& stream = s.stream(stream_handle, "cudaEventRecord", where);
  if (event.device != stream.device) {
    fault(
        fmt::format("cudaEventRecord: expects an event of the stream's device {}, found one of {}",
                    stream.device, event.device),
        where);
  }
  event.recorded = s.add(stream, {});
  event.capture = stream.capture;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  const SimEvent& event = s.event(handle, "cudaEventQuery", where);
  forbid_captured(event, "cudaEventQuery", where);
  s.forbid_during_capture("cudaEventQuery", where);
  return !event.recorded || s.streams.poll(*event.recorded) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  const SimEvent& event = s.event(handle, "cudaEventSynchronize", where);
  forbid_captured(event, "cudaEventSynchronize", where);
  s.forbid_during_capture("cudaEventSynchronize", where);
  if (event.recorded) s.streams.wait(*event.recorded);
  return cudaSuccess;
}

}  // namespace convoy::on_sim
