// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/unary_functions.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth waking a thread for

// `simd` asserts that elements do not depend on each other, so that y = x is vectorised too. Not
// inlined: g++ 12 gives up on some of the loops when it copies them into two callers.
template <class Fn, class T>
[[gnu::noinline]] void forward_range(const T* x, T* y, T alpha, T beta, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = Fn::value(x[i], alpha, beta);
}

template <class Fn, bool accumulate, class T>
[[gnu::noinline]] void backward_range(const T* saved, const T* dy, T* dx, T alpha, T beta,
                                      std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = Fn::gradient(saved[i], dy[i], alpha, beta);
    if constexpr (accumulate) {
      dx[i] += gradient;
    } else {
      dx[i] = gradient;
    }
  }
}

}  // namespace

Plan plan(const Unary&, const Device&) { return {}; }

void run(const Unary& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    with_unary(op.fn, [&]<class Fn>(Fn) {
      parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        forward_range<Fn>(static_cast<const T*>(op.x) + begin, static_cast<T*>(op.y) + begin,
                          static_cast<T>(op.alpha), static_cast<T>(op.beta), end - begin);
      });
    });
  });
}

Plan plan(const UnaryBackward&, const Device&) { return {}; }

void run(const UnaryBackward& op, const Plan&, void*, const Stream&) {
  // A constant derivative reads nothing from `saved`; dy stands in for it.
  const void* saved = gradient_is_constant(op.fn) ? op.dy : op.saved;
  with_float(op.dtype, [&]<class T>(Type<T>) {
    with_unary(op.fn, [&]<class Fn>(Fn) {
      parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        const auto range =
            op.accumulate ? backward_range<Fn, true, T> : backward_range<Fn, false, T>;
        range(static_cast<const T*>(saved) + begin, static_cast<const T*>(op.dy) + begin,
              static_cast<T*>(op.dx) + begin, static_cast<T>(op.alpha), static_cast<T>(op.beta),
              end - begin);
      });
    });
  });
}

}  // namespace convoy::on_cpu
