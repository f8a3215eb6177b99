// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/cudart/state.h"

#include <atomic>
#include <cstdlib>

namespace convoy::ptx {
namespace {

std::atomic<cudaError_t> end = cudaSuccess;
thread_local cudaError_t last = cudaSuccess;

}  // namespace

int device_arch() {
  static const char* const arch = std::getenv("CONVOY_PTX_ARCH");
  return arch == nullptr ? 90 : std::atoi(arch);
}

cudaError_t failed(cudaError_t status) { return last = status; }
cudaError_t end_of_device() { return end == cudaSuccess ? cudaSuccess : failed(end); }
void end_device(cudaError_t status) { end = status; }

}  // namespace convoy::ptx

extern "C" cudaError_t cudaGetLastError() {
  using namespace convoy::ptx;
  const cudaError_t was = end == cudaSuccess ? last : end.load();
  last = cudaSuccess;
  return was;
}

extern "C" const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorNoKernelImageForDevice:
      return "cudaErrorNoKernelImageForDevice";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    default:
      return "another error";
  }
}

extern "C" const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorLaunchFailure ? "a kernel has failed; why is on the error output"
                                          : cudaGetErrorName(status);
}
