// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/unary_functions.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    unary_each(Flat flat, UnaryFn fn, const T* x, T* y, float alpha, float beta) {
  begin_kernel();
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float v[N];
    load_floats(x + first, v);
    with_unary(fn, [&]<class Fn>(Fn) {
      for (float& e : v) e = Fn::value(e, alpha, beta);
    });
    store_floats(y + first, v);
  });
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    unary_backward_each(Flat flat, UnaryFn fn, const T* saved, const T* dy, T* dx, float alpha,
                        float beta, bool accumulate) {
  begin_kernel();
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float s[N], g[N];
    load_floats(saved + first, s);
    load_floats(dy + first, g);
    with_unary(fn, [&]<class Fn>(Fn) {
      for (int j = 0; j < N; ++j) g[j] = Fn::gradient(s[j], g[j], alpha, beta);
    });
    if (accumulate) {
      load_floats(dx + first, s);
      for (int j = 0; j < N; ++j) g[j] += s[j];
    }
    store_floats(dx + first, g);
  });
}

}  // namespace

Plan plan(const Unary&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const Unary& op, const Plan&, void*, const Stream& stream) {
  with_dtype("unary", op.dtype, [&]<class T>(Type<T>) {
    const Flat flat = flat_over<T>(op.count, op.x, op.y);
    launch_flat(flat, stream, unary_each<T>, op.fn, static_cast<const T*>(op.x),
                static_cast<T*>(op.y), static_cast<float>(op.alpha), static_cast<float>(op.beta));
  });
}

Plan plan(const UnaryBackward&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const UnaryBackward& op, const Plan&, void*, const Stream& stream) {
  // A constant derivative reads nothing from `saved`; dy stands in for it.
  const void* saved = gradient_is_constant(op.fn) ? op.dy : op.saved;
  with_dtype("unary backward", op.dtype, [&]<class T>(Type<T>) {
    const Flat flat = flat_over<T>(op.count, saved, op.dy, op.dx);
    launch_flat(flat, stream, unary_backward_each<T>, op.fn, static_cast<const T*>(saved),
                static_cast<const T*>(op.dy), static_cast<T*>(op.dx), static_cast<float>(op.alpha),
                static_cast<float>(op.beta), op.accumulate);
  });
}

}  // namespace convoy::CONVOY_TARGET
