// SPDX-License-Identifier: MIT
#include "kernels/binary.h"

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/strided.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// The switch is uniform: one branch for all threads.
__device__ __forceinline__ float combine(BinaryFn fn, float a, float b) {
  switch (fn) {
    case BinaryFn::add:
      return a + b;
    case BinaryFn::sub:
      return a - b;
    case BinaryFn::mul:
      return a * b;
    default:
      return a / b;
  }
}

// What is done with every pair, beside where it lies.
template <class T>
struct Work {
  BinaryFn fn;
  bool accumulate;
  float scale;
  const T *a, *b;
  T* y;
};

template <class T>
__global__ void __launch_bounds__(kFlatThreads) binary_dense(Flat flat, Work<T> work) {
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float a[N], b[N];
    load_floats(work.a + first, a);
    load_floats(work.b + first, b);
    for (int j = 0; j < N; ++j) a[j] = work.scale * combine(work.fn, a[j], b[j]);
    if (work.accumulate) {
      load_floats(work.y + first, b);
      for (int j = 0; j < N; ++j) a[j] += b[j];
    }
    store_floats(work.y + first, a);
  });
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    binary_strided(const __grid_constant__ StridedLoop<2> loop, std::int64_t count, Work<T> work) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, count)) return;
  const auto at = offsets_of(loop, i);
  const float a = widen(work.a[at.of[0]]), b = widen(work.b[at.of[1]]);
  const float value = work.scale * combine(work.fn, a, b);
  work.y[i] = narrow<T>(work.accumulate ? value + widen(work.y[i]) : value);
}

}  // namespace

Plan plan(const Binary& op, const Device&) {
  const bool dense = is_dense(merge_dims<2>(op.shape, {op.a_strides, op.b_strides}));
  return {.variant = dense ? "pack_per_thread" : "element_per_thread"};
}

void run(const Binary& op, const Plan&, void*, const Stream& stream) {
  const auto loop = merge_dims<2>(op.shape, {op.a_strides, op.b_strides});
  const std::int64_t count = op.shape.count();
  with_dtype("binary", op.dtype, [&]<class T>(Type<T>) {
    const Work<T> work{op.fn,
                       op.accumulate,
                       static_cast<float>(op.scale),
                       static_cast<const T*>(op.a),
                       static_cast<const T*>(op.b),
                       static_cast<T*>(op.y)};
    if (is_dense(loop)) {
      const Flat flat = flat_over<T>(count, op.a, op.b, op.y);
      return launch_flat(flat, stream, binary_dense<T>, work);
    }
    launch({.grid = blocks_for(count, kFlatThreads), .block = kFlatThreads, .stream = stream},
           binary_strided<T>, loop, count, work);
  });
}

}  // namespace convoy::CONVOY_TARGET
