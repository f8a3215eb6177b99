// SPDX-License-Identifier: MIT
#include "runtime/cuda_info.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "kernels/gpu/cuda.h"
#include "kernels/gpu/current_device.h"

namespace convoy::on_cuda {
namespace {

std::string version_text(int version) {
  return version == 0 ? "" : fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

int numa_node_of(std::string pci_bus) {
  std::transform(pci_bus.begin(), pci_bus.end(), pci_bus.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  std::ifstream in("/sys/bus/pci/devices/" + pci_bus + "/numa_node");
  int node = -1;
  return in >> node ? node : -1;
}

}  // namespace

std::string compiled_architectures() { return CONVOY_CUDA_ARCHITECTURES; }

Versions versions() {
  int driver = 0, runtime = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = 0;
  return {version_text(driver), version_text(runtime)};
}

std::string problem() {
  if (versions().driver.empty()) return "no NVIDIA driver was found";
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return count == 0 ? "no device is visible" : "";
}

Place place(int index) {
  use_device(index);
  char bus[32] = "";
  check(cudaDeviceGetPCIBusId(bus, sizeof bus, index), "asking for a device's PCI bus");
  Place found{.pci_bus = bus, .numa_node = numa_node_of(bus)};
  check(cudaMemGetInfo(&found.free_bytes, &found.total_bytes), "asking for free memory");
  return found;
}

}  // namespace convoy::on_cuda
