// SPDX-License-Identifier: MIT
// One device, of the architecture that was asked for, with few multiprocessors.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "tests/kernels/ptx/cudart/state.h"

namespace {

using convoy::ptx::device_arch;
using convoy::ptx::failed;

constexpr int kMultiprocessors = 4;
constexpr std::size_t kMemory = std::size_t{8} << 30;

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int) {
  std::snprintf(text, static_cast<std::size_t>(length), "0000:00:00.0");
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = kMemory;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = device_arch() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = device_arch() % 10;
      return cudaSuccess;
    default:
      return failed(cudaErrorInvalidValue);
  }
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof *properties);
  std::snprintf(properties->name, sizeof properties->name, "PTX on the host");
  properties->major = device_arch() / 10;
  properties->minor = device_arch() % 10;
  properties->multiProcessorCount = kMultiprocessors;
  properties->totalGlobalMem = kMemory;
  properties->warpSize = 32;
  return cudaSuccess;
}

}  // extern "C"
