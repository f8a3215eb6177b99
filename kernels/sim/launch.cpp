// SPDX-License-Identifier: MIT
#include "kernels/sim/launch.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "kernels/cpu/parallel.h"
#include "kernels/gpu/current_device.h"
#include "kernels/launch_log.h"
#include "kernels/sim/cuda_runtime.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim {
namespace {

constexpr unsigned kMaxThreads = 1024, kMaxBlockZ = 64, kMaxGridYZ = 65535, kMaxCluster = 8;
// Of one multiprocessor of compute capability 9.0.
constexpr unsigned kThreadsPerMultiprocessor = 2048;
constexpr std::size_t kSharedPerMultiprocessor = 228 << 10, kSharedReserved = 1 << 10;

// The NOPs that __launch_bounds__ put at the kernel's entry; 0: it has no bound.
unsigned bounded_threads(const void* kernel) {
  const auto* code = static_cast<const std::uint8_t*>(kernel);
  constexpr std::uint8_t kEndBranch[] = {0xf3, 0x0f, 0x1e, 0xfa};
  if (std::equal(std::begin(kEndBranch), std::end(kEndBranch), code)) code += 4;
  unsigned warps = 0;
  while (warps <= kMaxThreads / kWarpSize && code[warps] == 0x90) ++warps;
  return warps * kWarpSize;
}

void check_launch(const Launch& launch) {
  const on_sim::dim3 &grid = launch.grid, &block = launch.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  require(threads >= 1 && threads <= kMaxThreads && block.z <= kMaxBlockZ,
          "launch: a block expects 1 to {} threads, at most {} in z, found ({},{},{})", kMaxThreads,
          kMaxBlockZ, block.x, block.y, block.z);
  require(grid.y <= kMaxGridYZ && grid.z <= kMaxGridYZ && grid.x <= 0x7fffffffu,
          "launch: a grid expects at most (2^31 - 1,{},{}) blocks, found ({},{},{})", kMaxGridYZ,
          kMaxGridYZ, grid.x, grid.y, grid.z);
  require(launch.shared_bytes <= kMaxSharedBytes,
          "launch: shared memory expects at most {} bytes, found {}", kMaxSharedBytes,
          launch.shared_bytes);
  const unsigned bound = bounded_threads(launch.kernel);
  require(bound == 0 || threads <= bound,
          "launch: the kernel's __launch_bounds__ allow {} threads, found {}", bound, threads);
  require(launch.cluster >= 1 && launch.cluster <= kMaxCluster && grid.x % launch.cluster == 0,
          "launch: a cluster expects 1 to {} blocks and to divide the grid's x, found {} and {}",
          kMaxCluster, launch.cluster, grid.x);
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  const unsigned room = resident_blocks(static_cast<unsigned>(threads), launch.shared_bytes);
  require(
      !launch.resident || blocks <= room,
      "launch: a resident launch expects at most {} blocks of {} threads and {} bytes of shared "
      "memory, found {}",
      room, threads, launch.shared_bytes, blocks);
}

// The first failure in the order of the grid, whatever the threads' timing.
class FirstError {
 public:
  void note(std::uint64_t gang) {
    const std::lock_guard lock(mutex_);
    if (gang < gang_) {
      gang_ = gang;
      error_ = std::current_exception();
    }
  }
  bool before(std::uint64_t gang) const { return gang_.load(std::memory_order_relaxed) < gang; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> gang_ = ~std::uint64_t{0};
  std::exception_ptr error_;
};

Gang& gang_of_this_thread() {
  thread_local Gang gang;
  return gang;
}

void run_gangs(const Launch& launch, std::uint64_t blocks, unsigned per_gang) {
  FirstError error;
  const std::uint64_t gangs = blocks / per_gang;
  // A launch of a few hundred threads is done before another core has woken up.
  constexpr std::int64_t kThreadsWorthACore = 512;
  const std::int64_t threads =
      std::int64_t{launch.block.x} * launch.block.y * launch.block.z * per_gang;
  const std::int64_t grain = access::kEnabled ? INT64_MAX : kThreadsWorthACore / threads + 1;
  on_cpu::parallel_for(
      static_cast<std::int64_t>(gangs), grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::uint64_t>(begin); i < static_cast<std::uint64_t>(end); ++i) {
          if (error.before(i)) return;
          try {
            gang_of_this_thread().run(launch, i * per_gang, per_gang);
          } catch (...) {
            error.note(i);
          }
        }
      });
  error.rethrow();
}

void wait_unless_capturing(on_sim::cudaStream_t stream, const std::source_location& where) {
  on_sim::cudaStreamCaptureStatus status = on_sim::cudaStreamCaptureStatusNone;
  on_sim::cudaStreamIsCapturing(stream, &status, where);
  if (status == on_sim::cudaStreamCaptureStatusNone) on_sim::cudaStreamSynchronize(stream, where);
}

class WatchedLaunch {
 public:
  explicit WatchedLaunch(const Launch& launch) {
    if constexpr (access::kEnabled) access::launch_begins(launch);
  }
  ~WatchedLaunch() {
    if constexpr (access::kEnabled) access::launch_ends();
  }
  WatchedLaunch(const WatchedLaunch&) = delete;
  WatchedLaunch& operator=(const WatchedLaunch&) = delete;
};

}  // namespace

unsigned resident_blocks(unsigned threads, std::size_t shared_bytes) {
  const std::size_t by_memory = kSharedPerMultiprocessor / (shared_bytes + kSharedReserved);
  const std::size_t by_threads = kThreadsPerMultiprocessor / std::max(threads, 1u);
  return kMultiprocessors *
         static_cast<unsigned>(std::min({by_memory, by_threads, std::size_t{32}}));
}

void run_grid(const Launch& launch) {
  const std::uint64_t blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const WatchedLaunch watched(launch);
  run_gangs(launch, blocks, launch.resident ? static_cast<unsigned>(blocks) : launch.cluster);
}

void enqueue(const Stream& stream, Launch launch, std::source_location where) {
  if (launch.grid.x == 0 || launch.grid.y == 0 || launch.grid.z == 0) return;
  check_launch(launch);
  if (stream.handle == nullptr) return run_grid(launch);
  on_sim::use_device(stream.device.index);
  const auto handle = static_cast<on_sim::cudaStream_t>(stream.handle);
  on_sim::submit(handle, "kernel", where, [launch = std::move(launch)] { run_grid(launch); });
  if (launches_wait()) wait_unless_capturing(handle, where);
}

}  // namespace convoy::sim
