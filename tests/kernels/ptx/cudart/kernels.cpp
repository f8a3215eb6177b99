// SPDX-License-Identifier: MIT
// What nvcc's code says of its kernels before main(), and their launches.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/cudart/counting.h"
#include "tests/kernels/ptx/cudart/state.h"
#include "tests/kernels/ptx/fat_binary.h"
#include "tests/kernels/ptx/machine.h"
#include "tests/kernels/ptx/module.h"
#include "tests/kernels/ptx/text.h"

namespace convoy::ptx {
namespace {

struct Binary {
  const void* data = nullptr;
  std::unique_ptr<Module> module;
};

struct Function {
  Binary* binary;
  std::string name;
  std::size_t dynamic_shared = 48 << 10;  // bytes that it may have
};

std::recursive_mutex mutex;

// Kept to the end of the program: kernels are registered before main() and used until after it.
std::map<const void*, Function>& functions() {
  static auto& all = *new std::map<const void*, Function>;
  return all;
}

Function* function_of(const void* host) {
  const auto found = functions().find(host);
  return found == functions().end() ? nullptr : &found->second;
}

const Kernel* kernel_of(Function& f) {
  if (!f.binary->module) {
    f.binary->module = std::make_unique<Module>(ptx_of(f.binary->data, device_arch()));
  }
  return f.binary->module->kernel(f.name);
}

std::size_t most_shared() { return device_arch() >= 90 ? 227 << 10 : 163 << 10; }

bool may_launch(const Launch& l, const Function& f) {
  const std::uint64_t threads = l.block.count();
  return threads > 0 && threads <= l.kernel->max_threads && l.grid.count() > 0 &&
         l.grid.y <= 65535 && l.grid.z <= 65535 && l.cluster <= 8 && l.grid.x % l.cluster == 0 &&
         (l.cluster == 1 || device_arch() >= 90) &&
         l.dynamic_shared + l.kernel->shared_bytes <= f.dynamic_shared;
}

// The launch's own copy of what it is given, where the manual has it: at a multiple of 64 bytes.
class Parameters {
 public:
  Parameters(const Kernel& kernel, void** arguments) : bytes_(kernel.parameter_bytes + 64) {
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes_.data());
    begin_ = bytes_.data() + (rounded_up(begin, 64) - begin);
    for (const Parameter& p : kernel.parameters) {
      std::memcpy(begin_ + p.offset, *arguments++, p.size);
    }
    add_memory(begin_, kernel.parameter_bytes);
  }
  ~Parameters() { remove_memory(begin_); }
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  const std::uint8_t* begin() const { return begin_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint8_t* begin_;
};

void run_named(const Launch& l) {
  if (l.counts != nullptr) l.counts->add_launch();
  try {
    run(l);
  } catch (const Fault& fault) {
    throw Fault(l.kernel->name + ": " + fault.what());
  }
}

cudaError_t launch(const void* host, Launch l, void** arguments, cudaStream_t stream) try {
  const std::lock_guard lock(mutex);
  if (const cudaError_t end = end_of_device(); end != cudaSuccess) return end;
  Function* f = function_of(host);
  if (f == nullptr) return failed(cudaErrorInvalidDeviceFunction);
  l.kernel = kernel_of(*f);
  if (l.kernel == nullptr) return failed(cudaErrorNoKernelImageForDevice);
  if (!may_launch(l, *f)) return failed(cudaErrorInvalidConfiguration);
  auto parameters = std::make_shared<Parameters>(*l.kernel, arguments);
  l.parameters = parameters->begin();
  l.counts = counts_of(*l.kernel);
  return enqueue(stream, [l, parameters] { run_named(l); });
} catch (const std::runtime_error& error) {
  std::fprintf(stderr, "ptx: %s\n", error.what());
  return failed(cudaErrorInvalidPtx);
}

Launch launch_of(const dim3& grid, const dim3& block, std::size_t dynamic_shared) {
  Launch l;
  l.grid = {grid.x, grid.y, grid.z};
  l.block = {block.x, block.y, block.z};
  l.dynamic_shared = dynamic_shared;
  return l;
}

}  // namespace
}  // namespace convoy::ptx

using namespace convoy::ptx;

extern "C" {

void** __cudaRegisterFatBinary(void* data) {
  auto* binary = new Binary;
  binary->data = data;
  return reinterpret_cast<void**>(binary);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void** binary, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  functions()[host] = {reinterpret_cast<Binary*>(binary), name};
}

// Kernels are launched through their host functions' addresses.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t dynamic_shared, cudaStream_t stream) {
  return launch(kernel, launch_of(grid, block, dynamic_shared), arguments, stream);
}
// Of the <<<>>> that no program here uses.
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) {
  return failed(cudaErrorNotSupported);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* host,
                                void** arguments) {
  Launch l = launch_of(config->gridDim, config->blockDim, config->dynamicSmemBytes);
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const cudaLaunchAttribute& a = config->attrs[i];
    if (a.id == cudaLaunchAttributeClusterDimension) l.cluster = a.val.clusterDim.x;
    if (a.id == cudaLaunchAttributeCooperative) l.resident = a.val.cooperative != 0;
  }
  return launch(host, l, arguments, config->stream);
}

cudaError_t cudaFuncGetName(const char** name, const void* host) {
  const std::lock_guard lock(mutex);
  const Function* f = function_of(host);
  if (f == nullptr) return failed(cudaErrorInvalidDeviceFunction);
  *name = f->name.c_str();
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(mutex);
  Function* f = function_of(host);
  const bool known = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize;
  if (f == nullptr || !known || static_cast<std::size_t>(value) > most_shared()) {
    return failed(cudaErrorInvalidValue);
  }
  f->dynamic_shared = std::max<std::size_t>(48 << 10, static_cast<std::size_t>(value));
  return end_of_device();
}

}  // extern "C"
