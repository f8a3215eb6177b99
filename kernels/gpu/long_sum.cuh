// SPDX-License-Identifier: MIT
#pragma once
// A long sum in one thread: f32 that keeps what each addition rounds off (two-sum, Knuth, The Art
// of Computer Programming vol. 2, 4.2.2), so that the error is that of one rounding, not of n.
// Threads' sums are joined in double, which costs nothing: there are few.
//
//   LongSum sum;   for (...) sum.add(x[i]);   const double total = block_sum(sum.value(), s.sum);

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct LongSum {
  float total = 0, lost = 0;

  __device__ __forceinline__ void add(float x) {
    const float next = total + x, taken = next - total;
    lost += (total - (next - taken)) + (x - taken);
    total = next;
  }
  // a * b, and what the product rounds off.
  __device__ __forceinline__ void add_product(float a, float b) {
    const float product = a * b;
    add(product);
    lost += fmaf(a, b, -product);
  }
  // An infinite total has no remainder: what was lost on the way to it is NaN.
  __device__ __forceinline__ double value() const {
    return lost == lost ? static_cast<double>(total) + static_cast<double>(lost) : total;
  }
};

}  // namespace convoy::CONVOY_TARGET
