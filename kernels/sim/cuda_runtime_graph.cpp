// SPDX-License-Identifier: MIT
// Stream capture and graphs of the stand-in for the CUDA runtime.
#include "kernels/require.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/runtime_state.h"

namespace convoy::on_sim {
namespace {

// Every stream that took part goes back to enqueuing.
void leave_capture(RuntimeState& s, const std::shared_ptr<sim::Capture>& capture) {
  const auto leave = [&](SimStream& stream) {
    if (stream.capture == capture) stream.capture.reset();
  };
  leave(s.null_stream);
  s.stream_handles.for_each(leave);
  std::erase(s.captures, capture);
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimStream& stream = s.stream(handle, "cudaStreamBeginCapture", where);
  if (stream.capture) {
    fault(fmt::format("cudaStreamBeginCapture: the stream captures already, since {}",
                      sim::place(stream.capture->begun())),
          where);
  }
  stream.capture = std::make_shared<sim::Capture>(where, mode == cudaStreamCaptureModeGlobal,
                                                  mode == cudaStreamCaptureModeRelaxed);
  stream.lane = 0;
  s.captures.push_back(stream.capture);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimStream& stream = s.stream(handle, "cudaStreamEndCapture", where);
  *graph = nullptr;
  if (!stream.capture || stream.lane != 0) {
    fault("cudaStreamEndCapture: expects the stream on which the capture began", where);
  }
  const auto capture = stream.capture;
  leave_capture(s, capture);
  if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
  if (const auto lane = capture->unjoined()) {
    fault(fmt::format("cudaStreamEndCapture: expects that the stream waits for every other that "
                      "took part, found work on {} that it does not wait for; the capture began "
                      "at {}",
                      *lane == 1 ? std::string("the first of them")
                                 : fmt::format("number {} of them", *lane),
                      sim::place(capture->begun())),
          where);
  }
  *graph = s.graph_handles.make();
  (*graph)->capture = capture;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                  Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  const SimStream& stream = s.stream(handle, "cudaStreamIsCapturing", where);
  *status = !stream.capture           ? cudaStreamCaptureStatusNone
            : stream.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t handle, unsigned long long,
                                 Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  const SimGraph& graph = s.graph_handles.expect(handle, "cudaGraphInstantiate", "a graph", where);
  *exec = s.exec_handles.make();
  (*exec)->replay = std::make_unique<sim::Replay>(graph.capture, s.streams);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimGraph& graph = s.graph_handles.expect(handle, "cudaGraphDestroy", "a graph", where);
  graph.capture.reset();
  s.graph_handles.destroy(graph, where);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  SimGraphExec& exec = s.exec_handles.expect(handle, "cudaGraphLaunch", "a graph", where);
  SimStream& stream = s.stream(stream_handle, "cudaGraphLaunch", where);
  if (stream.capture) {
    fault(
        "cudaGraphLaunch: expects a stream that does not capture; graphs within graphs are not "
        "simulated",
        where);
  }
  exec.replay->launch(stream.number);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimGraphExec& exec = s.exec_handles.expect(handle, "cudaGraphExecDestroy", "a graph", where);
  exec.replay.reset();
  s.exec_handles.destroy(exec, where);
  return cudaSuccess;
}

}  // namespace convoy::on_sim
