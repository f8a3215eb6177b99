// SPDX-License-Identifier: MIT
#pragma once
// A stand-in for the CUDA runtime: the calls that our host code makes, with CUDA's names and
// meanings, on simulated memory (memory.h) and simulated streams (streams.h). It is stricter than
// CUDA where CUDA leaves a mistake to luck. Each of these throws an Error that names both places:
//
//   * copies on two streams touch the same memory, and no event orders them
//   * a host buffer changes, or is freed, before the copy from it ran (plain host memory counts as
//     page-locked memory does; what a copy to the host will write is poison until it ran)
//   * a block that the allocator took back on one stream is handed out on another too early
//   * a copy outside an allocation or in the wrong direction, a write outside by a kernel
//   * a pointer freed twice or never allocated, a stream or event used after its end
//   * a call that would end a capture
//
// Errors of a stream's work are thrown by the call in which it runs.

#include <cstddef>
#include <functional>
#include <source_location>
#include <string>

namespace convoy::on_sim {

struct SimStream;
struct SimEvent;
struct SimGraph;
struct SimGraphExec;
using cudaStream_t = SimStream*;  // null: a stream of its own, as independent as any other
using cudaEvent_t = SimEvent*;
using cudaGraph_t = SimGraph*;
using cudaGraphExec_t = SimGraphExec*;
using Where = std::source_location;

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureInvalidated = 901,
};
const char* cudaGetErrorString(cudaError_t error);
// No call leaves an error behind here.
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  std::size_t sharedMemPerBlockOptin;
  int multiProcessorCount;
  int major, minor;
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceSynchronize(Where where = Where::current());

cudaError_t cudaMalloc(void** memory, std::size_t bytes, Where where = Where::current());
// Waits for all that is enqueued, as CUDA's does.
cudaError_t cudaFree(void* memory, Where where = Where::current());
cudaError_t cudaMallocHost(void** memory, std::size_t bytes, Where where = Where::current());
cudaError_t cudaFreeHost(void* memory, Where where = Where::current());

enum cudaMemcpyKind : int {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream, Where where = Where::current());
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream,
                            Where where = Where::current());

// Streams synchronise with no other by themselves: the flag must say so.
inline constexpr unsigned cudaStreamNonBlocking = 1;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags,
                                      Where where = Where::current());
cudaError_t cudaStreamDestroy(cudaStream_t stream, Where where = Where::current());
cudaError_t cudaStreamSynchronize(cudaStream_t stream, Where where = Where::current());
cudaError_t cudaStreamQuery(cudaStream_t stream, Where where = Where::current());
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0,
                                Where where = Where::current());

inline constexpr unsigned cudaEventDefault = 0, cudaEventDisableTiming = 2;
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags,
                                     Where where = Where::current());
cudaError_t cudaEventDestroy(cudaEvent_t event, Where where = Where::current());
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream, Where where = Where::current());
cudaError_t cudaEventQuery(cudaEvent_t event, Where where = Where::current());
// The simulator has no timing model: always an error.
inline cudaError_t cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t) {
  return cudaErrorInvalidValue;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event, Where where = Where::current());

enum cudaStreamCaptureMode : int {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2,
};
enum cudaStreamCaptureStatus : int {
  cudaStreamCaptureStatusNone = 0,
  cudaStreamCaptureStatusActive = 1,
  cudaStreamCaptureStatusInvalidated = 2,
};
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode,
                                   Where where = Where::current());
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph,
                                 Where where = Where::current());
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                  Where where = Where::current());
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags = 0, Where where = Where::current());
cudaError_t cudaGraphDestroy(cudaGraph_t graph, Where where = Where::current());
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream,
                            Where where = Where::current());
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec, Where where = Where::current());

// What is not CUDA's.

// Enqueues a kernel. `what` names it in error texts.
void submit(cudaStream_t stream, std::string what, Where where, std::function<void()> work);

// The caching allocator says which blocks it takes back and hands out. A block taken back is
// poisoned, in stream order; handing it out throws where the stream has no order after that.
void note_block_released(void* block, std::size_t bytes, cudaStream_t stream,
                         Where where = Where::current());
void note_block_reused(void* block, std::size_t bytes, cudaStream_t stream,
                       Where where = Where::current());

// Drops whatever is enqueued or captured and starts random choices from Options::seed again: what
// a test does between runs.
void restart();

}  // namespace convoy::on_sim
