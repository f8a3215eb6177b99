// SPDX-License-Identifier: MIT
#include "tests/support/cuda_memory.h"

#include <cuda_runtime.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "kernels/require.h"

namespace convoy::testing {
namespace {

constexpr int kFenceByte = 0xa5;

void check(cudaError_t status) {
  require(status == cudaSuccess, "test: {}", cudaGetErrorString(status));
}

std::size_t fence_bytes() {
  static const std::size_t bytes = [] {
    const char* wanted = std::getenv("CONVOY_TEST_FENCES");
    return wanted != nullptr && std::string_view(wanted) == "0" ? std::size_t{0} : 1024;
  }();
  return bytes;
}

std::mutex mutex;
std::map<void*, std::size_t> sizes;

void check_fence(const void* fence, const char* where) {
  std::vector<unsigned char> bytes(fence_bytes());
  check(cudaMemcpy(bytes.data(), fence, bytes.size(), cudaMemcpyDeviceToHost));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    require(bytes[i] == kFenceByte, "test: a kernel wrote {} an array, at byte {} of the fence",
            where, i);
  }
}

}  // namespace

void* CudaMemory::allocate(std::size_t bytes) {
  char* memory = nullptr;
  check(cudaMalloc(reinterpret_cast<void**>(&memory), bytes + 2 * fence_bytes()));
  check(cudaMemset(memory, kFenceByte, bytes + 2 * fence_bytes()));
  check(cudaMemset(memory + fence_bytes(), 0xff, bytes));
  check(cudaDeviceSynchronize());
  const std::lock_guard lock(mutex);
  sizes[memory + fence_bytes()] = bytes;
  return memory + fence_bytes();
}

void CudaMemory::release(void* memory) {
  if (memory == nullptr) return;
  const std::lock_guard lock(mutex);
  const auto found = sizes.find(memory);
  require(found != sizes.end(), "test: memory to be freed was never allocated");
  char* const begin = static_cast<char*>(memory);
  const std::size_t bytes = found->second;
  sizes.erase(found);
  synchronize();
  if (fence_bytes() > 0) {
    check_fence(begin - fence_bytes(), "before");
    check_fence(begin + bytes, "behind");
  }
  check(cudaFree(begin - fence_bytes()));
}

void CudaMemory::copy_in(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
}
void CudaMemory::copy_out(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
}
void CudaMemory::synchronize() { check(cudaDeviceSynchronize()); }

}  // namespace convoy::testing
