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
  begin_kernel();
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

// N elements of an operand, or one that all of them share.
template <int N, class T>
__device__ __forceinline__ void load_operand(const T* from, bool shared, float (&v)[N]) {
  if (!shared) return load_floats(from, v);
  const float one = widen(*from);
  for (float& e : v) e = one;
}

// N elements to a thread: the loop counts dimension 0, and where a stride is 1 all of it, in packs.
template <class T, int N>
__global__ void __launch_bounds__(kFlatThreads)
    binary_strided(const __grid_constant__ StridedLoop<2> loop, std::int64_t count, Work<T> work) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, count)) return;
  const auto at = offsets_of(loop, i);
  const bool a_shared = N > 1 && loop.stride[0][0] == 0, b_shared = N > 1 && loop.stride[1][0] == 0;
  float a[N], b[N];
  load_operand(work.a + (a_shared ? 1 : N) * at.of[0], a_shared, a);
  load_operand(work.b + (b_shared ? 1 : N) * at.of[1], b_shared, b);
  for (int j = 0; j < N; ++j) a[j] = work.scale * combine(work.fn, a[j], b[j]);
  if (work.accumulate) {
    load_floats(work.y + i * N, b);
    for (int j = 0; j < N; ++j) a[j] += b[j];
  }
  store_floats(work.y + i * N, a);
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
    constexpr int kPack = Packed<T>::kCount;
    const bool packs = has_packs(loop, kPack, work.a, work.b) && is_packed_aligned(op.y);
    const std::int64_t threads = packs ? count / kPack : count;
    launch({.grid = blocks_for(threads, kFlatThreads), .block = kFlatThreads, .stream = stream},
           packs ? binary_strided<T, kPack> : binary_strided<T, 1>,
           packs ? in_packs(loop, kPack) : loop, threads, work);
  });
}

}  // namespace convoy::CONVOY_TARGET
