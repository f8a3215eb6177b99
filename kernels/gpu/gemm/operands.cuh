// SPDX-License-Identifier: MIT
#pragma once
// What all rungs of gemm share: where an element of op(a), op(b) and c stands, and how a finished
// sum is stored. Kernels take the op itself as their argument.

#include "kernels/gemm.h"
#include "kernels/gpu/epilogue.cuh"

namespace convoy::CONVOY_TARGET {

// One product of the batch.
template <class T>
struct GemmOperands {
  const T *a, *b;
  std::int64_t first;                      // of this product in c
  std::int64_t a_row, a_k, b_k, b_column;  // steps from one element to the next

  __device__ GemmOperands(const Gemm& op, std::int64_t product)
      : a(static_cast<const T*>(op.a) + product * op.stride_a),
        b(static_cast<const T*>(op.b) + product * op.stride_b),
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
  __device__ std::int64_t place(const Gemm& op, std::int64_t m, std::int64_t n) const {
    return first + m * op.ldc + n;
  }
  __device__ void store(const Gemm& op, std::int64_t m, std::int64_t n, float sum) const {
    const std::int64_t i = place(op, m, n);
    if (op.out_dtype == DType::f32) {
      store_sum<T>(op.epilogue, static_cast<float*>(op.c), i, n, op.accumulate, sum);
    } else {
      store_sum<T>(op.epilogue, static_cast<T*>(op.c), i, n, op.accumulate, sum);
    }
  }
};

}  // namespace convoy::CONVOY_TARGET
