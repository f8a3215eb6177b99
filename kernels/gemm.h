// SPDX-License-Identifier: MIT
#pragma once
// Matrix product, row-major, optionally batched: c = op(a) op(b), or c += ... with accumulate, and
// what the epilogue makes of it. Any leading dimensions and batch strides, so that slices need no
// copy.
//
//   run(Gemm{.M = 64, .N = 10, .K = 84, .a = x, .b = w, .c = y, .transpose_b = true,
//            .lda = 84, .ldb = 84, .ldc = 10, .dtype = DType::f32}, plan, workspace, stream);

#include "kernels/base.h"
#include "kernels/epilogue.h"

namespace convoy {

struct Gemm {
  std::int64_t M = 0, N = 0, K = 0;  // c is [M, N]; K = 0 gives sums of zero
  std::int64_t batch = 1;
  const void* a = nullptr;  // [M, K], or [K, M] with transpose_a
  const void* b = nullptr;  // [K, N], or [N, K] with transpose_b
  void* c = nullptr;        // [M, N]; must not overlap a or b
  bool transpose_a = false, transpose_b = false;
  std::int64_t lda = 0, ldb = 0, ldc = 0;                 // elements from row to row, as stored
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;  // elements from one product to the next
  bool accumulate = false;                                // true: c += the product
  DType dtype = DType::f32;                               // of a, b and bias
  std::optional<DType> out_dtype = {};                    // of c; may be f32 where dtype is half
  Epilogue epilogue = {};  // one bias for all products; statistics are those of a single product
};
CONVOY_KERNEL_OP(Gemm)

// The usual case: one product of dense matrices.
inline Gemm dense_gemm(std::int64_t M, std::int64_t N, std::int64_t K, const void* a,
                       bool transpose_a, const void* b, bool transpose_b, void* c, DType dtype) {
  return {.M = M,
          .N = N,
          .K = K,
          .a = a,
          .b = b,
          .c = c,
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .lda = transpose_a ? M : K,
          .ldb = transpose_b ? K : N,
          .ldc = N,
          .dtype = dtype};
}

}  // namespace convoy
