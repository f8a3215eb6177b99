// SPDX-License-Identifier: MIT
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "kernels/cpu/parallel.h"
#include "runtime/device.h"

namespace convoy {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// One stream, run in order by the calling thread.
class CpuBackend final : public DeviceBackend {
 public:
  void* allocate(std::size_t bytes) override {
    // Large blocks on huge pages: a training step touches hundreds of megabytes.
    const std::size_t alignment = bytes >= kHugePage ? kHugePage : 256;
    void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory != nullptr && bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
  }
  void release(void* memory, std::size_t) noexcept override { std::free(memory); }

  void copy(void* to, const void* from, std::size_t bytes, const Stream&, Where) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void synchronize(const Stream&) override {}

  Stream default_stream() override { return Stream{}; }
  bool host_accessible() const override { return true; }
  bool watches_bounds() const override { return kAddressSanitizer; }
  std::string description() const override {
    const int threads = on_cpu::thread_count();
    return fmt::format("cpu, {} compute thread{}", threads, threads == 1 ? "" : "s");
  }
};

}  // namespace

DeviceBackend& cpu_backend() {
  static CpuBackend backend;
  return backend;
}

int compute_threads() { return on_cpu::thread_count(); }

void set_compute_threads([[maybe_unused]] int count) {
  require(count > 0, "threads: expects at least 1, found {}", count);
#ifdef _OPENMP
  omp_set_num_threads(count);
#endif
}

}  // namespace convoy
