// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/cudart/state.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace convoy::ptx {
namespace {

std::atomic<cudaError_t> end = cudaSuccess;
thread_local cudaError_t last = cudaSuccess;

}  // namespace

int device_arch() {
  static const int arch = [] {
    const char* const wanted = std::getenv("CONVOY_PTX_ARCH");
    const std::string_view text = wanted == nullptr ? "90" : wanted;
    if (text == "80" || text == "90") return text == "80" ? 80 : 90;
    std::fprintf(stderr, "ptx: CONVOY_PTX_ARCH expects 80 or 90, found %s\n", wanted);
    std::_Exit(2);
  }();
  return arch;
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
