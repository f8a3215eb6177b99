// SPDX-License-Identifier: MIT
#pragma once
// What a kernel finds when it is compiled for the simulator: CUDA's own words, with CUDA's meaning.
// The counterpart for nvcc is kernels/gpu/cuda.h; a word that is not CUDA's stands in both.
//
//   __global__ void __launch_bounds__(256) scale_each(float* x, int n, float by) {
//     const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
//     if (inside(i, n)) x[i] *= by;
//   }
//   launch({.grid = blocks_for(n, 256), .block = 256, .stream = stream}, scale_each, x, n, 2.0f);
//
// Limits: no timing model; no memory ordering between blocks beyond atomics; the lanes of a warp
// do not run in lockstep (nor do they in CUDA).

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "kernels/sim/instruction.h"
#include "kernels/sim/launch.h"
#include "kernels/sim/mbarrier.h"
#include "kernels/sim/scheduler.h"
#include "kernels/sim/shared_memory.h"
#include "kernels/sim/site.h"
#include "kernels/sim/tma.h"
#include "kernels/sim/vector_types.h"
#include "kernels/sim/wgmma.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __grid_constant__
#define CONVOY_UNROLL
// One NOP at the kernel's entry for each warp that it allows: launch() counts them. (A function's
// address is all that a launch has, and attributes cannot be asked for at run time.)
#define __launch_bounds__(threads, ...) \
  __attribute__((patchable_function_entry(((threads) + 31) / 32, 0)))

namespace convoy::on_sim {

inline constexpr bool kSim = true;
inline constexpr int kArch = 90;

using sim::Site;

extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;

using std::max;
using std::min;

// ---- bounds, shared memory ----

// 0 <= index < extent, and a site that a mutant can shift by one.
template <class Index, class Extent>
bool inside(Index index, Extent extent, Site site = Site::here()) {
  const auto i = static_cast<std::int64_t>(index);
  return i >= 0 && i < static_cast<std::int64_t>(extent) + sim::bound_shift(site);
}

// The block's shared memory as one struct; launch with .shared_bytes = sizeof(Storage).
template <class Storage>
Storage& shared(Site site = Site::here()) {
  // Nothing is constructed; the default of a half's bits does not count.
  static_assert(std::is_trivially_copyable_v<Storage>);
  const sim::Block& block = *sim::current_thread()->block;
  if (sizeof(Storage) > block.shared_bytes) {
    sim::fault("shared memory: Storage has " + std::to_string(sizeof(Storage)) +
                   " bytes, the launch gave " + std::to_string(block.shared_bytes),
               site);
  }
  return *std::launder(reinterpret_cast<Storage*>(block.shared));
}

// Faults where a vector access would: hardware takes an address that is a multiple of its size.
inline void require_aligned(const void* place, std::size_t bytes, Site site) {
  if (reinterpret_cast<std::uintptr_t>(place) % bytes != 0) {
    sim::fault("misaligned access: " + std::to_string(bytes) +
                   " bytes at an address that is not a multiple",
               site);
  }
}

// One load or store of a whole vector of up to 16 bytes, at a multiple of its size: a struct's copy
// would be as many accesses as the compiler makes of it.
template <class Vector>
Vector load_vector(const void* from, Site site = Site::here()) {
  require_aligned(from, sizeof(Vector), site);
  if constexpr (sim::access::kEnabled) {
    Vector result;
    sim::read_vector(from, sizeof(Vector), &result, site);
    return result;
  }
  return *static_cast<const Vector*>(from);
}
template <class Vector>
void store_vector(void* to, const Vector& vector, Site site = Site::here()) {
  require_aligned(to, sizeof(Vector), site);
  if constexpr (sim::access::kEnabled) {
    sim::write_vector(to, sizeof(Vector), &vector, site);
  } else {
    *static_cast<Vector*>(to) = vector;
  }
}

// Its 32-bit address in the shared window; the block's rank in the cluster is in the high bits.
inline std::uint32_t shared_address(const void* place, Site site = Site::here()) {
  return sim::shared_address(place, site);
}

// ---- barriers ----

inline void __syncthreads(Site site = Site::here()) {
  sim::barrier(sim::whole_block(), "__syncthreads", site);
}
inline void __syncwarp(unsigned mask = ~0u, Site site = Site::here()) {
  sim::barrier(sim::lanes(mask), "__syncwarp", site);
}
// bar.sync and bar.arrive: `threads` arrive at barrier `id`, 1 to 15; arriving does not wait.
inline void named_barrier_sync(unsigned id, unsigned threads, Site site = Site::here()) {
  sim::barrier(sim::named_barrier(id, threads), "named barrier", site);
}
inline void named_barrier_arrive(unsigned id, unsigned threads, Site site = Site::here()) {
  sim::barrier(sim::named_barrier(id, threads), "named barrier", site, false);
}
inline void cluster_sync(Site site = Site::here()) {
  sim::barrier(sim::whole_cluster(), "cluster barrier", site);
}
inline unsigned cluster_rank() { return sim::current_thread()->block->rank_in_cluster; }
inline unsigned cluster_size() { return sim::current_gang().launch().cluster; }

inline void __threadfence() {
  if constexpr (sim::access::kEnabled) sim::access::fence(*sim::current_thread());
}
inline void __threadfence_block() { __threadfence(); }

// ---- shuffles, votes, reductions over a warp ----

// What the lane `from(lane)` brought, for each lane of the mask; its own where that is outside of
// the segment of `width` lanes.
template <class T, class From>
T shuffle(const char* what, unsigned mask, T value, int width, From from, Site site) {
  struct Operand {
    T brought, taken;
    int lane_from;
  };
  const int lane = static_cast<int>(sim::current_thread()->lane());
  Operand mine{value, value, from(lane, lane / width * width)};
  sim::collective(sim::lanes(mask), what, site, mine, [&](auto operands) {
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (operands[i] == nullptr) continue;
      const int source = operands[i]->lane_from;
      if (source < 0) continue;
      if (operands[static_cast<std::size_t>(source)] == nullptr) {
        sim::fault(std::string(what) + ": lane " + std::to_string(i) + " reads lane " +
                       std::to_string(source) + ", which the mask does not name",
                   site);
      }
      operands[i]->taken = operands[static_cast<std::size_t>(source)]->brought;
    }
  });
  return mine.taken;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, Site site = Site::here()) {
  return shuffle(
      "__shfl_sync", mask, value, width,
      [&](int, int first) { return first + (source & (width - 1)); }, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, Site site = Site::here()) {
  return shuffle(
      "__shfl_up_sync", mask, value, width,
      [&](int lane, int first) {
        const int source = lane - static_cast<int>(by);
        return source < first ? -1 : source;
      },
      site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, Site site = Site::here()) {
  return shuffle(
      "__shfl_down_sync", mask, value, width,
      [&](int lane, int first) {
        const int source = lane + static_cast<int>(by);
        return source >= first + width ? -1 : source;
      },
      site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, Site site = Site::here()) {
  return shuffle(
      "__shfl_xor_sync", mask, value, width,
      [&](int lane, int first) {
        const int source = lane ^ lanes;
        return source >= first + width ? -1 : source;
      },
      site);
}

// Folds what every named lane brought, in the order of the lanes; all get the result.
template <class T, class Fold>
T fold_lanes(const char* what, unsigned mask, T value, Fold fold, Site site) {
  sim::collective(sim::lanes(mask), what, site, value, [&](auto operands) {
    T* first = nullptr;
    for (T* operand : operands) {
      if (operand == nullptr) continue;
      if (first == nullptr) {
        first = operand;
      } else {
        *first = fold(*first, *operand);
      }
    }
    for (T* operand : operands) {
      if (operand != nullptr) *operand = *first;
    }
  });
  return value;
}
inline unsigned __ballot_sync(unsigned mask, bool vote, Site site = Site::here()) {
  const unsigned mine = vote ? 1u << sim::current_thread()->lane() : 0;
  return fold_lanes(
      "__ballot_sync", mask, mine, [](unsigned a, unsigned b) { return a | b; }, site);
}
inline bool __any_sync(unsigned mask, bool vote, Site site = Site::here()) {
  return fold_lanes(
      "__any_sync", mask, vote, [](bool a, bool b) { return a || b; }, site);
}
inline bool __all_sync(unsigned mask, bool vote, Site site = Site::here()) {
  return fold_lanes(
      "__all_sync", mask, vote, [](bool a, bool b) { return a && b; }, site);
}
// Integers only, as the hardware has it.
template <class T>
T __reduce_add_sync(unsigned mask, T value, Site site = Site::here()) {
  static_assert(std::is_integral_v<T>);
  return fold_lanes(
      "__reduce_add_sync", mask, value, [](T a, T b) { return a + b; }, site);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, Site site = Site::here()) {
  static_assert(std::is_integral_v<T>);
  return fold_lanes(
      "__reduce_max_sync", mask, value, [](T a, T b) { return max(a, b); }, site);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, Site site = Site::here()) {
  static_assert(std::is_integral_v<T>);
  return fold_lanes(
      "__reduce_min_sync", mask, value, [](T a, T b) { return min(a, b); }, site);
}

// ---- atomics: integers only, so that no result depends on an order ----

template <class T>
T atomicAdd(T* place, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "a float atomic would make results depend on the schedule");
  return std::atomic_ref<T>(*place).fetch_add(value, std::memory_order_relaxed);
}
template <class T>
T atomicOr(T* place, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*place).fetch_or(value, std::memory_order_relaxed);
}
template <class T>
T atomicExch(T* place, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>);
  return std::atomic_ref<T>(*place).exchange(value, std::memory_order_relaxed);
}
template <class T>
T atomicCAS(T* place, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*place).compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}
template <class T>
T atomicMax(T* place, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>);
  std::atomic_ref<T> target(*place);
  T old = target.load(std::memory_order_relaxed);
  while (old < value && !target.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}
template <class T>
T atomicMin(T* place, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>);
  std::atomic_ref<T> target(*place);
  T old = target.load(std::memory_order_relaxed);
  while (value < old && !target.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}

// Waits until the flag, which another block of a resident launch sets, has the value; what that
// block wrote before publish() is then seen.
inline void wait_for(const int* flag, int value, Site site = Site::here()) {
  sim::wait_until(
      [=] {
        return std::atomic_ref<int>(*const_cast<int*>(flag)).load(std::memory_order_acquire) ==
               value;
      },
      "a flag", site);
  if constexpr (sim::access::kEnabled) sim::access::acquire(*sim::current_thread(), flag);
}
inline void publish(int* flag, int value) {
  if constexpr (sim::access::kEnabled) sim::access::release(*sim::current_thread(), flag);
  std::atomic_ref<int>(*flag).store(value, std::memory_order_release);
}

// ---- arithmetic that CUDA has and C++ has not ----

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline double sinpi(double x) { return std::sin(x * 3.141592653589793); }
inline double cospi(double x) { return std::cos(x * 3.141592653589793); }
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(unsigned x) { return x == 0 ? 32 : __builtin_clz(x); }
inline int __ffs(unsigned x) { return __builtin_ffs(static_cast<int>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline float __double2float_rz(double x) {
  const float nearest = static_cast<float>(x);
  return std::fabs(static_cast<double>(nearest)) > std::fabs(x) ? std::nextafter(nearest, 0.0f)
                                                                : nearest;
}
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }

}  // namespace convoy::on_sim
