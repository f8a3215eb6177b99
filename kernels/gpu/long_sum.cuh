// SPDX-License-Identifier: MIT
#pragma once
// A long sum in one thread: f32 that keeps what each addition rounds off, by the short form of
// two-sum (Dekker, "A floating-point technique for extending the available precision", 1971): four
// instructions, of which kernels that add each value they load have few. It is exact where the
// total is no smaller than the term. A term that is larger costs at most its own rounding, so that
// the error is that of a few roundings, not of n. Threads' sums are joined in double, which costs
// nothing: there are few.
//
//   LongSum sum;   for (...) sum.add(x[i]);   const double total = block_sum(sum.value(), s.sum);

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct LongSum {
  float total = 0, lost = 0;

  __device__ __forceinline__ void add(float x) {
    const float next = total + x, taken = next - total;
    lost += x - taken;
    total = next;
  }
  // N of them, a power of two, added to each other first: what those few additions round off is
  // lost.
  template <int N>
  __device__ __forceinline__ void add(const float (&x)[N]) {
    float sums[N];
    for (int j = 0; j < N; ++j) sums[j] = x[j];
    for (int n = N / 2; n > 0; n /= 2) {
      for (int j = 0; j < n; ++j) sums[j] += sums[j + n];
    }
    add(sums[0]);
  }
  // a * b, and what the product rounds off.
  __device__ __forceinline__ void add_product(float a, float b) {
    const float next = fmaf(a, b, total), taken = next - total;
    lost += fmaf(a, b, -taken);
    total = next;
  }
  // An infinite total has no remainder: what was lost on the way to it is no number either.
  __device__ __forceinline__ double value() const {
    return fabsf(lost) < INFINITY ? static_cast<double>(total) + static_cast<double>(lost) : total;
  }
};

}  // namespace convoy::CONVOY_TARGET
