// SPDX-License-Identifier: MIT
#pragma once
// What all rungs of gemm share: where an element of op(a), op(b) and c stands, and how a finished
// sum is stored. Kernels take the op itself as their argument.

#include "kernels/gemm.h"
#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// One product of the batch.
template <class T>
struct GemmOperands {
  const T *a, *b, *bias;
  Results<T> c;
  std::int64_t first;                      // of this product in c
  std::int64_t a_row, a_k, b_k, b_column;  // steps from one element to the next

  __device__ GemmOperands(const Gemm& op, std::int64_t product)
      : a(static_cast<const T*>(op.a) + product * op.stride_a),
        b(static_cast<const T*>(op.b) + product * op.stride_b),
        bias(static_cast<const T*>(op.bias)),
        c{op.c, op.out_dtype == DType::f32},
        first(product * op.stride_c),
        a_row(op.transpose_a ? 1 : op.lda),
        a_k(op.transpose_a ? op.lda : 1),
        b_k(op.transpose_b ? 1 : op.ldb),
        b_column(op.transpose_b ? op.ldb : 1) {}

  __device__ float a_at(std::int64_t m, std::int64_t k) const {
    return widen(a[m * a_row + k * a_k]);
  }
  __device__ float b_at(std::int64_t k, std::int64_t n) const {
    return widen(b[k * b_k + n * b_column]);
  }
  __device__ void store(const Gemm& op, std::int64_t m, std::int64_t n, float sum) const {
    if (bias != nullptr) sum += widen(bias[n]);
    c.put(first + m * op.ldc + n, sum, op.accumulate);
  }
};

}  // namespace convoy::CONVOY_TARGET
