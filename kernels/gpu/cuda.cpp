// SPDX-License-Identifier: MIT
#include "kernels/gpu/cuda.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "kernels/gpu/current_device.h"
#include "kernels/gpu/shared_consent.h"
#include "kernels/launch_log.h"
#include "kernels/multiprocessors.h"

namespace convoy::on_cuda {
namespace {

// "softmax_block_per_row<float>" of the demangled name, which has namespaces and parameters.
std::string short_name(std::string name) {
  for (const char* part : {"(anonymous namespace)::", "convoy::", "on_cuda::", "void "}) {
    for (std::size_t at; (at = name.find(part)) != std::string::npos;) {
      name.erase(at, std::char_traits<char>::length(part));
    }
  }
  return name.substr(0, name.find('('));
}

// Lives as long as the program; looked up once, since no call answers after a failure.
const char* name_of(const void* kernel) {
  static std::mutex mutex;
  static auto& names = *new std::unordered_map<const void*, std::string>;
  const std::lock_guard lock(mutex);
  const auto [at, is_new] = names.try_emplace(kernel, "a kernel");
  const char* mangled = nullptr;
  if (is_new && cudaFuncGetName(&mangled, kernel) == cudaSuccess && mangled != nullptr) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(
        abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free);
    at->second = short_name(status == 0 ? name.get() : mangled);
  }
  return at->second.c_str();
}

void allow_shared_bytes(const LaunchConfig& config, const void* kernel) {
  static SharedConsent consent;
  consent.want(kernel, config.stream.device.index, config.shared_bytes, [&] {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(config.shared_bytes)),
          "allowing a kernel's shared memory");
  });
}

void check_launch(cudaError_t status, const char* doing, const LaunchConfig& c, const char* name) {
  if (status == cudaSuccess) return;
  throw Error(fmt::format(
      "cuda: {} {}, grid ({},{},{}), block ({},{},{}), {} bytes of shared memory: {} ({}){}", doing,
      name, c.grid.x, c.grid.y, c.grid.z, c.block.x, c.block.y, c.block.z, c.shared_bytes,
      cudaGetErrorString(status), cudaGetErrorName(status),
      ends_the_device(status) ? "; " + text_of_the_end(c.stream.device) : ""));
}

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "asking whether a stream captures");
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

void check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  throw Error(fmt::format("cuda: {}: {} ({})", doing, cudaGetErrorString(status),
                          cudaGetErrorName(status)));
}

void use_device(int index) {
  thread_local int current = -1;
  if (current == index) return;
  check(cudaSetDevice(index), "choosing a device");
  current = index;
}

int multiprocessor_count(const Device& device) {
  int count = 0;
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device.index),
        "counting multiprocessors");
  return multiprocessors_to_use(count);
}

Device thread_device() {
  Device device{DeviceType::cuda};
  check(cudaGetDevice(&device.index), "asking for the device in use");
  return device;
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
  use_device(config.stream.device.index);
  allow_shared_bytes(config, kernel);
  cudaLaunchAttribute attributes[3];
  unsigned count = 0;
  if (config.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim = {static_cast<unsigned>(config.cluster), 1, 1};
    ++count;
  }
  // Older devices have no such launch.
  if (config.programmatic && !config.resident && compute_capability(config.stream.device) >= 90) {
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
  const char* name = name_of(kernel);
  check_launch(cudaLaunchKernelExC(&how, kernel, arguments), "launching", config, name);
  note_launch(config.stream.device, name);
  if (launches_wait() && !is_capturing(how.stream)) {
    check_launch(cudaStreamSynchronize(how.stream), "running", config, name);
  }
}

}  // namespace convoy::on_cuda
