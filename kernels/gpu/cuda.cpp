// SPDX-License-Identifier: MIT
#include "kernels/gpu/cuda.h"

#include <cstdlib>
#include <mutex>
#include <set>

namespace convoy::on_cuda {
namespace {

// More than 48 KB of dynamic shared memory needs the kernel's consent, once.
void allow_shared_bytes(const void* kernel, std::size_t bytes) {
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (bytes <= kWithoutAsking) return;
  static std::mutex mutex;
  static std::set<std::pair<const void*, std::size_t>> asked;
  const std::lock_guard lock(mutex);
  if (!asked.emplace(kernel, bytes).second) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "allowing a kernel's shared memory");
}

bool synchronous() {
  static const bool on = [] {
    const char* value = std::getenv("CONVOY_SYNC");
    return value != nullptr && *value == '1';
  }();
  return on;
}

}  // namespace

void check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  throw Error(fmt::format("cuda: {}: {} ({})", doing, cudaGetErrorString(status),
                          cudaGetErrorName(status)));
}

int multiprocessor_count(const Device& device) {
  int count = 0;
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device.index),
        "counting multiprocessors");
  return count;
}

int compute_capability(const Device& device) {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device.index),
        "asking for the compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device.index),
        "asking for the compute capability");
  return 10 * major + minor;
}

void launch_kernel(const LaunchConfig& config, const void* kernel, void** arguments) {
  if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return;
  allow_shared_bytes(kernel, config.shared_bytes);
  cudaLaunchAttribute attributes[3];
  unsigned count = 0;
  if (config.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim = {static_cast<unsigned>(config.cluster), 1, 1};
    ++count;
  }
  if (config.programmatic) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count].val.programmaticStreamSerializationAllowed = 1;
    ++count;
  }
  if (config.resident) {
    attributes[count].id = cudaLaunchAttributeCooperative;
    attributes[count].val.cooperative = 1;
    ++count;
  }
  cudaLaunchConfig_t how{};
  how.gridDim = config.grid;
  how.blockDim = config.block;
  how.dynamicSmemBytes = config.shared_bytes;
  how.stream = static_cast<cudaStream_t>(config.stream.handle);
  how.attrs = attributes;
  how.numAttrs = count;
  check(cudaLaunchKernelExC(&how, kernel, arguments), "launching a kernel");
  if (synchronous()) check(cudaStreamSynchronize(how.stream), "running a kernel");
}

}  // namespace convoy::on_cuda
