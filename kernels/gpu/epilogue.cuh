// SPDX-License-Identifier: MIT
#pragma once
// How every rung of gemm and of the convolutions ends: kernels/epilogue.h, on the sums in a
// thread's registers. The branches are the same for all threads, and stand behind the inner loops.

#include "kernels/epilogue.h"
#include "kernels/gpu/norm_line.cuh"

namespace convoy::CONVOY_TARGET {

template <class T, int N>
__device__ __forceinline__ void add_array(const void* values, std::int64_t i, float (&v)[N]) {
  float more[N];
  load_floats(static_cast<const T*>(values) + i, more);
  for (int j = 0; j < N; ++j) v[j] += more[j];
}

// The sums v of N neighbours become what is stored: elements of Y from y[i] on, in columns of the
// bias from `column` on.
template <class T, class Y, int N>
__device__ __forceinline__ void finish_sums(const Epilogue& e, const Y* y, std::int64_t i,
                                            std::int64_t column, bool accumulate, float (&v)[N]) {
  if (e.bias != nullptr) add_array<T>(e.bias, column, v);
  if (accumulate) add_array<Y>(y, i, v);
  if (e.residual != nullptr) add_array<Y>(e.residual, i, v);
  for (float& value : v) value = rectified(value, e.activation == Activation::relu);
}

// One sum by itself becomes element i of y, and is returned as it was stored.
template <class T, class Y>
__device__ __forceinline__ float store_sum(const Epilogue& e, Y* y, std::int64_t i,
                                           std::int64_t column, bool accumulate, float sum) {
  float one[1] = {sum};
  finish_sums<T>(e, y, i, column, accumulate, one);
  y[i] = narrow<Y>(one[0]);
  return widen(narrow<Y>(one[0]));
}

}  // namespace convoy::CONVOY_TARGET
