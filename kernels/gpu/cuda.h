// SPDX-License-Identifier: MIT
#pragma once
// What a kernel finds when it is compiled by nvcc, beside CUDA itself: the words that our kernels
// share with the simulator. The counterpart is kernels/sim/simt.h.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/base.h"
#include "kernels/launch_log.h"

// Before a loop over an array that must stay in registers: a place that is computed has none.
#define CONVOY_UNROLL _Pragma("unroll")

namespace convoy::on_cuda {

inline constexpr bool kSim = false;
#ifdef __CUDA_ARCH__
inline constexpr int kArch = __CUDA_ARCH__ / 10;
#else
inline constexpr int kArch = 0;
#endif

// Throws an Error with what was being done; a failed CUDA call is fatal for its device.
void check(cudaError_t status, const char* doing);

// On the simulator the place of a barrier, a wait or a bounds check; here nothing.
struct Site {
  __host__ __device__ static constexpr Site here() { return {}; }
};

int multiprocessor_count(const Device& device);
int compute_capability(const Device& device);  // 90 for 9.0
Device thread_device();                        // the calling thread's

// On the simulator the caching allocator says which blocks it takes back and hands out.
inline void note_block_released(void*, std::size_t, cudaStream_t, const std::source_location&) {}
inline void note_block_reused(void*, std::size_t, cudaStream_t, const std::source_location&) {}

struct LaunchConfig {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
  const Stream& stream;
  int cluster = 1;  // blocks per cluster, along x
  // May start before the stream's previous kernel has ended (ptx/dependency.cuh).
  bool programmatic = launches_are_programmatic();
  bool resident = false;  // every block is alive at once; never programmatic
};

// Launches with the attributes that the config asks for. `arguments` are pointers to the values.
void launch_kernel(const LaunchConfig& config, const void* kernel, void** arguments);

template <class... Parameters, class... Arguments>
void launch(const LaunchConfig& config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  std::tuple<std::remove_const_t<Parameters>...> values(std::forward<Arguments>(arguments)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {&value..., nullptr};
        launch_kernel(config, reinterpret_cast<const void*>(kernel), pointers);
      },
      values);
}

#ifdef __CUDACC__

// 0 <= index < extent. Unsigned numbers cost one comparison less.
template <class Index, class Extent>
__host__ __device__ __forceinline__ bool inside(Index index, Extent extent, Site = {}) {
  if constexpr (std::is_unsigned_v<Index>) {
    return index < static_cast<Index>(extent);
  } else {
    return index >= 0 && index < static_cast<Index>(extent);
  }
}

// One load or store of a whole vector of up to 16 bytes, at a multiple of its size.
template <class Vector>
__device__ __forceinline__ Vector load_vector(const void* from, Site = {}) {
  return *static_cast<const Vector*>(from);
}
template <class Vector>
__device__ __forceinline__ void store_vector(void* to, const Vector& vector, Site = {}) {
  *static_cast<Vector*>(to) = vector;
}

// The block's shared memory as one struct; launch with .shared_bytes = sizeof(Storage).
template <class Storage>
__device__ __forceinline__ Storage& shared() {
  extern __shared__ __align__(1024) unsigned char convoy_shared_memory[];
  // A comment in the PTX, for scripts/ptxas_report.sh: the size is no property of the kernel.
  asm("// shared_bytes %0" ::"n"(sizeof(Storage)));
  return *reinterpret_cast<Storage*>(convoy_shared_memory);
}

// Its 32-bit address in the shared window.
__device__ __forceinline__ std::uint32_t shared_address(const void* place, Site = {}) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(place));
}

// bar.sync and bar.arrive: `threads` arrive at barrier `id`, 1 to 15; arriving does not wait.
__device__ __forceinline__ void named_barrier_sync(unsigned id, unsigned threads, Site = {}) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(unsigned id, unsigned threads, Site = {}) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Before compute capability 9.0 a block is its own cluster.
__device__ __forceinline__ void cluster_sync(Site = {}) {
  if constexpr (kArch >= 90) {
    asm volatile(
        "barrier.cluster.arrive.release;\n"
        "barrier.cluster.wait.acquire;" ::
            : "memory");
  }
}
__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank = 0;
  if constexpr (kArch >= 90) asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ unsigned cluster_size() {
  unsigned size = 1;
  if constexpr (kArch >= 90) asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

// Waits until the flag, which another block of a resident launch sets, has the value; what that
// block wrote before publish() is then seen.
__device__ __forceinline__ void wait_for(const int* flag, int value, Site = {}) {
  int seen;
  do {
    asm volatile("ld.acquire.gpu.global.b32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
  } while (seen != value);
}
__device__ __forceinline__ void publish(int* flag, int value) {
  asm volatile("st.release.gpu.global.b32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

// The simulator's words with which ptx/ says what an instruction means (kernels/sim/instruction.h):
// declared, so that the compiler can read them, and never called.
namespace sim {

struct Group {};
struct WorkGroups {
  __device__ void commit();
};
struct Thread {
  WorkGroups copies, products;
};

__device__ Thread* current_thread();
__device__ Group lanes(std::uint32_t mask);
__device__ Group warpgroup();
template <class Operand, class Meaning>
__device__ void collective(Group, const char* what, Site, Operand&, Meaning);
__device__ void expect(bool holds, const char* text, std::int64_t found, Site);
__device__ void read_shared(const char* what, const void* from, std::size_t, void* to, Site);
__device__ void write_shared(const char* what, void* to, std::size_t, const void* from, Site);
__device__ void note_multiply_adds(std::uint64_t count);
__device__ void copy_async(void* to, const void* from, std::size_t, std::size_t, Site);
__device__ void wait_for_groups(WorkGroups Thread::*groups, std::uint32_t keep, Site);

__device__ void await_previous_kernel();
__device__ void fence_proxy_async(Site);
__device__ void mbarrier_init(void* word, std::uint32_t arrivals, Site);
__device__ void mbarrier_invalidate(void* word, Site);
__device__ void mbarrier_arrive(void* word, std::uint32_t bytes, Site);
__device__ void mbarrier_expect(void* word, std::uint32_t bytes, Site);
__device__ void mbarrier_wait(const void* word, std::uint32_t parity, Site);
__device__ std::uint32_t map_to_rank(const void* place, std::uint32_t rank, Site);
__device__ void mbarrier_arrive_remote(std::uint32_t address, Site);

template <class Map, int kRank>
__device__ void tma_load(const Map&, const int (&at)[kRank], void* to, void* barrier,
                         std::uint32_t mask, Site);
template <class Map>
__device__ void tma_load_im2col(const Map&, const int (&at)[4], const unsigned (&offset)[2],
                                void* to, void* barrier, std::uint32_t mask, Site);
template <class Map, int kRank>
__device__ void tma_store(const Map&, const int (&at)[kRank], const void* from, Site);
__device__ void bulk_load(void* to, const void* from, std::uint32_t, void* barrier, Site);
__device__ void bulk_commit();
__device__ void bulk_wait_read(std::uint32_t keep, Site);
__device__ void bulk_wait(std::uint32_t keep, Site);

struct WgmmaOperand {
  float* d;
  const unsigned* a_registers;
  std::uint64_t a, b;
  bool accumulate, a_is_m_major, b_is_n_major, bf16;
  std::uint32_t n;
};
__device__ void wgmma(const WgmmaOperand&, Site);
__device__ void wgmma_fence(Site);
__device__ void wgmma_commit();
__device__ void wgmma_wait(std::uint32_t keep, Site);
__device__ void set_registers(std::uint32_t count, bool increase, Site);

}  // namespace sim

#endif  // __CUDACC__

}  // namespace convoy::on_cuda
