// SPDX-License-Identifier: MIT
#include "kernels/binary.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth waking a thread for

struct Add {
  template <class T>
  static T of(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T of(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T of(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T of(T a, T b) {
    return a / b;
  }
};

template <class F>
void with_function(BinaryFn fn, F&& f) {
  switch (fn) {
    case BinaryFn::add:
      return f(Add{});
    case BinaryFn::sub:
      return f(Sub{});
    case BinaryFn::mul:
      return f(Mul{});
    case BinaryFn::div:
      return f(Div{});
  }
}

template <class T>
struct Run {
  const T* a;
  std::int64_t a_stride;
  const T* b;
  std::int64_t b_stride;
  T* y;
  T scale;
  std::int64_t n;
};

template <bool accumulate, class T>
void put(T& y, T value) {
  if constexpr (accumulate) {
    y += value;
  } else {
    y = value;
  }
}

// One run along the innermost dimension. The strides 0 and 1 get loops that vectorise.
template <class Fn, bool accumulate, class T>
void run_row(const Run<T>& r) {
  const T *a = r.a, *b = r.b;
  T* const y = r.y;
  const T scale = r.scale;
  if (r.a_stride == 1 && r.b_stride == 1) {
#pragma omp simd
    for (std::int64_t i = 0; i < r.n; ++i) put<accumulate>(y[i], scale * Fn::of(a[i], b[i]));
  } else if (r.a_stride == 1 && r.b_stride == 0) {
    const T other = *b;
#pragma omp simd
    for (std::int64_t i = 0; i < r.n; ++i) put<accumulate>(y[i], scale * Fn::of(a[i], other));
  } else if (r.a_stride == 0 && r.b_stride == 1) {
    const T other = *a;
#pragma omp simd
    for (std::int64_t i = 0; i < r.n; ++i) put<accumulate>(y[i], scale * Fn::of(other, b[i]));
  } else {
    for (std::int64_t i = 0; i < r.n; ++i, a += r.a_stride, b += r.b_stride) {
      put<accumulate>(y[i], scale * Fn::of(*a, *b));
    }
  }
}

template <class Fn, class T>
void run_typed(const Binary& op) {
  const T *a = static_cast<const T*>(op.a), *b = static_cast<const T*>(op.b);
  T* const y = static_cast<T*>(op.y);
  const T scale = static_cast<T>(op.scale);
  const auto row = op.accumulate ? run_row<Fn, true, T> : run_row<Fn, false, T>;
  const std::int64_t count = op.shape.count();
  if (count == 1) return row({a, 1, b, 1, y, scale, 1});

  const auto loop = merge_dims<2>(op.shape, {op.a_strides, op.b_strides});
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for_each_run(loop, begin, end, [&](const auto& at, std::int64_t first, std::int64_t n) {
      row({a + at[0], loop.stride[0][0], b + at[1], loop.stride[1][0], y + first, scale, n});
    });
  });
}

}  // namespace

Plan plan(const Binary&, const Device&) { return {}; }

void run(const Binary& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    with_function(op.fn, [&]<class Fn>(Fn) { run_typed<Fn, T>(op); });
  });
}

}  // namespace convoy::on_cpu
