// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include <algorithm>

#include "kernels/gpu/convert.cuh"
#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/strided.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class T>
__global__ void __launch_bounds__(kFlatThreads) fill_each(Flat flat, T* y, T value) {
  begin_kernel();
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    Lanes<T, N> lanes;
    for (T& v : lanes.values) v = value;
    store_lanes(y + first, lanes);
  });
}

__device__ __forceinline__ double sum(double a, double b) { return a + b; }
template <class T>
__device__ __forceinline__ T sum(T a, T b) {
  return narrow<T>(widen(a) + widen(b));
}

template <class T, bool kAccumulate>
__global__ void __launch_bounds__(kFlatThreads) copy_dense(Flat flat, const T* x, T* y) {
  begin_kernel();
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    auto lanes = load_lanes<N>(x + first);
    if constexpr (kAccumulate) {
      const auto old = load_lanes<N>(y + first);
      for (int j = 0; j < N; ++j) lanes.values[j] = sum(old.values[j], lanes.values[j]);
    }
    store_lanes(y + first, lanes);
  });
}

// N elements to a thread; the loop counts in packs of N.
template <class T, int N, bool kAccumulate>
__global__ void __launch_bounds__(kFlatThreads)
    copy_strided(const __grid_constant__ StridedLoop<2> loop, std::int64_t count, const T* x,
                 T* y) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, count)) return;
  const auto at = offsets_of(loop, i);
  T* const to = y + at.of[1] * N;
  auto lanes = load_lanes<N>(x + at.of[0] * N);
  if constexpr (kAccumulate) {
    const auto old = load_lanes<N>(to);
    for (int j = 0; j < N; ++j) lanes.values[j] = sum(old.values[j], lanes.values[j]);
  }
  store_lanes(to, lanes);
}

// As many elements as the wider of the two types moves in 16 bytes.
template <class From, class To>
inline constexpr int kCastWidth = 16 / std::max(sizeof(From), sizeof(To));

template <class From, class To>
__global__ void __launch_bounds__(kFlatThreads) cast_each(Flat flat, const From* x, To* y) {
  begin_kernel();
  for_my_packs<kCastWidth<From, To>>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    const auto from = load_lanes<N>(x + first);
    Lanes<To, N> to;
    for (int j = 0; j < N; ++j) to.values[j] = convert<To>(from.values[j]);
    store_lanes(y + first, to);
  });
}

template <class T, bool kAccumulate>
void run_copy(const Copy& op, const Stream& stream) {
  const auto loop = merge_dims<2>(op.shape, {op.x_strides, op.y_strides});
  const std::int64_t count = op.shape.count();
  const T* const x = static_cast<const T*>(op.x);
  T* const y = static_cast<T*>(op.y);
  if (is_dense(loop)) {
    const Flat flat = flat_over<T>(count, x, y);
    return launch_flat(flat, stream, copy_dense<T, kAccumulate>, x, y);
  }
  constexpr int kPack = Packed<T>::kCount;
  const bool packs = loop.stride[0][0] == 1 && has_packs(loop, kPack, x, y);
  const std::int64_t threads = packs ? count / kPack : count;
  launch({.grid = blocks_for(threads, kFlatThreads), .block = kFlatThreads, .stream = stream},
         packs ? copy_strided<T, kPack, kAccumulate> : copy_strided<T, 1, kAccumulate>,
         packs ? in_packs(loop, kPack) : loop, threads, x, y);
}

}  // namespace

Plan plan(const Fill&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const Fill& op, const Plan&, void*, const Stream& stream) {
  with_any_dtype(op.dtype, [&]<class Value>(Type<Value>) {
    using T = Bits<sizeof(Value)>;
    const Flat flat = flat_over<T>(op.count, op.y);
    launch_flat(flat, stream, fill_each<T>, static_cast<T*>(op.y),
                std::bit_cast<T>(stored<Value>(op.value)));
  });
}

Plan plan(const Copy& op, const Device&) {
  const bool dense = is_dense(merge_dims<2>(op.shape, {op.x_strides, op.y_strides}));
  return {.variant = dense ? "pack_per_thread" : "element_per_thread"};
}

// Copying moves bits: one kernel per size serves all dtypes of that size.
void run(const Copy& op, const Plan&, void*, const Stream& stream) {
  if (!op.accumulate) {
    return with_bits(op.dtype, [&]<class T>(Type<T>) { run_copy<T, false>(op, stream); });
  }
  with_any_dtype(op.dtype, [&]<class T>(Type<T>) {
    if constexpr (std::is_integral_v<T>) {
      unsupported_dtype("copy, accumulating", op.dtype, "f32, f16, bf16 or f64");
    } else {
      run_copy<T, true>(op, stream);
    }
  });
}

Plan plan(const Cast&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const Cast& op, const Plan&, void*, const Stream& stream) {
  with_any_dtype(op.dtype, [&]<class From>(Type<From>) {
    with_any_dtype(op.out_dtype, [&]<class To>(Type<To>) {
      const Flat flat = flat_in_packs(kCastWidth<From, To>, op.count, op.x, op.y);
      launch_flat(flat, stream, cast_each<From, To>, static_cast<const From*>(op.x),
                  static_cast<To*>(op.y));
    });
  });
}

}  // namespace convoy::CONVOY_TARGET
