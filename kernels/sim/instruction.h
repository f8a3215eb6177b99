// SPDX-License-Identifier: MIT
#pragma once
// Words with which kernels/gpu/ptx says what an instruction means, beside collective() and fault().
// kernels/gpu/cuda.h declares the same ones, so that nvcc can read the twins.

#include <cstddef>
#include <cstdint>

#include "kernels/sim/scheduler.h"

namespace convoy::sim {

// Throws "TEXT, found FOUND" unless it holds.
void expect(bool holds, const char* text, std::int64_t found, const Site& site);

// The calling thread reads or writes its block's shared memory as `what` does: so many bytes at a
// multiple of as many.
void read_shared(const char* what, const void* from, std::size_t bytes, void* to, const Site& site);
void write_shared(const char* what, void* to, std::size_t bytes, const void* from,
                  const Site& site);

// A vector access, told to the access checker as one.
void read_vector(const void* from, std::size_t bytes, void* to, const Site& site);
void write_vector(void* to, std::size_t bytes, const void* from, const Site& site);

// griddepcontrol.wait.
inline void await_previous_kernel() {
  if constexpr (access::kEnabled) access::previous_kernel_awaited(*current_thread());
}

// A matrix instruction's work, for traffic.h.
void note_multiply_adds(std::uint64_t count);

// cp.async: `bytes` of shared memory at `to` are poison until `source_bytes` of them come from
// global memory and the others become zero.
void copy_async(void* to, const void* from, std::size_t bytes, std::size_t source_bytes,
                const Site& site);

// Completes all committed groups but the newest `keep`; the caller then sees what they wrote.
void wait_for_groups(WorkGroups Thread::*groups, std::uint32_t keep, const Site& site);

// setmaxnreg: the caller's four warps change to so many registers per thread. Giving some back is
// done at once; taking more waits until others of the block have given.
void set_registers(std::uint32_t count, bool increase, const Site& site);

}  // namespace convoy::sim
