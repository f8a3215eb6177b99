// SPDX-License-Identifier: MIT
#pragma once
// The simulated GPU for tests of the runtime: its backend, its default stream, and kernels that
// are plain functions.

#include <source_location>
#include <utility>
#include <vector>

#include "kernels/sim/cuda_runtime.h"
#include "runtime/allocator.h"
#include "runtime/device_gpu.h"
#include "runtime/stream.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::testing {

inline DeviceBackend& sim_backend() { return on_sim::gpu_backend(0); }

template <class Work>
void enqueue(const Stream& stream, Work work,
             std::source_location where = std::source_location::current()) {
  on_sim::submit(static_cast<on_sim::cudaStream_t>(stream.handle), "kernel", where,
                 std::move(work));
}

// value[i] of device memory, waited for.
inline std::vector<float> read(const void* from, std::size_t count, const Stream& stream) {
  std::vector<float> values(count);
  sim_backend().copy(values.data(), from, count * sizeof(float), stream);
  sim_backend().synchronize(stream);
  return values;
}

}  // namespace convoy::testing
