// SPDX-License-Identifier: MIT
// The host's memory is the device's. It begins as NaN.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/cudart/state.h"
#include "tests/kernels/ptx/text.h"

using namespace convoy::ptx;

namespace {

constexpr std::size_t kMost = std::size_t{8} << 30;

cudaError_t allocate(void** place, std::size_t bytes) {
  if (thread_captures()) return failed(cudaErrorStreamCaptureUnsupported);
  if (const cudaError_t end = end_of_device(); end != cudaSuccess) return end;
  *place = bytes > kMost ? nullptr : std::aligned_alloc(512, rounded_up(bytes, 512));
  if (*place == nullptr) return failed(cudaErrorMemoryAllocation);
  std::memset(*place, 0xff, bytes);
  add_memory(*place, bytes);
  return cudaSuccess;
}

cudaError_t release(void* place) {
  if (thread_captures()) return failed(cudaErrorStreamCaptureUnsupported);
  if (place != nullptr) remove_memory(place);
  std::free(place);
  return end_of_device();
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** place, std::size_t bytes) { return allocate(place, bytes); }
cudaError_t cudaMallocHost(void** place, std::size_t bytes) { return allocate(place, bytes); }
cudaError_t cudaFree(void* place) { return release(place); }
cudaError_t cudaFreeHost(void* place) { return release(place); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return enqueue(stream, [=] { std::memmove(to, from, bytes); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memmove(to, from, bytes);
  return end_of_device();
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  std::memset(to, value, bytes);
  return end_of_device();
}

}  // extern "C"
