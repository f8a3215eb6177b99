// SPDX-License-Identifier: MIT
#pragma once
// gemm 1: naive
// Idea     one thread per output, one loop over K: the definition.
// Gain     nothing to get wrong; the rung that the others are compared with.
// Limit    two global loads per multiply-add. Rung 2 loads each value once per tile.

#include "kernels/gpu/gemm/operands.cuh"

namespace convoy::CONVOY_TARGET {

constexpr int kNaiveThreads = 128;

template <class T>
__global__ void __launch_bounds__(kNaiveThreads) gemm_thread_per_output(Gemm op) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kNaiveThreads + threadIdx.x;
  if (!inside(i, op.batch * op.M * op.N)) return;
  const std::int64_t n = i % op.N, m = i / op.N % op.M;
  const GemmOperands<T> at(op, i / op.N / op.M);
  float sum = 0;
  for (std::int64_t k = 0; k < op.K; ++k) sum += at.a_at(m, k) * at.b_at(k, n);
  at.store(op, m, n, sum);
}

template <class T>
void gemm_naive(const Gemm& op, const Stream& stream) {
  launch({.grid = blocks_for(op.batch * op.M * op.N, kNaiveThreads),
          .block = kNaiveThreads,
          .stream = stream},
         gemm_thread_per_output<T>, op);
}

}  // namespace convoy::CONVOY_TARGET
