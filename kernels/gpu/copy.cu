// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) fill_each(T* y, std::int64_t count, T value) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (inside(i, count)) y[i] = value;
}

}  // namespace

Plan plan(const Fill&, const Device&) { return {.variant = "thread_per_element"}; }

void run(const Fill& op, const Plan&, void*, const Stream& stream) {
  with_dtype("fill", op.dtype, [&]<class T>(Type<T>) {
    T value;
    if constexpr (std::is_same_v<T, float>) {
      value = static_cast<float>(op.value);
    } else {
      value = from_double<T>(op.value);
    }
    launch({.grid = blocks_for(op.count, kThreads), .block = kThreads, .stream = stream},
           fill_each<T>, static_cast<T*>(op.y), op.count, value);
  });
}

}  // namespace convoy::CONVOY_TARGET
