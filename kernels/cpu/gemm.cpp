// SPDX-License-Identifier: MIT
#include "kernels/gemm.h"

#include <algorithm>
#include <string_view>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// Multiply-adds of one product below which plain loops beat the fixed cost of a library call.
constexpr std::int64_t kPlainWork = 8192;

// What the product is added to: the bias, zero, or what is there.
template <class T>
void start_rows(const Gemm& op, T* c, std::int64_t begin, std::int64_t end) {
  const T* bias = static_cast<const T*>(op.bias);
  for (std::int64_t m = begin; m < end; ++m) {
    T* row = c + m * op.ldc;
    if (!op.accumulate) {
      if (bias)
        std::copy(bias, bias + op.N, row);
      else
        std::fill(row, row + op.N, T(0));
    } else if (bias) {
      for (std::int64_t n = 0; n < op.N; ++n) row[n] += bias[n];
    }
  }
}

// One row of c: sums over k run in ascending order in either form.
template <class T>
void plain_row(const Gemm& op, const T* a, const T* b, T* row) {
  const std::int64_t step = op.transpose_a ? op.lda : 1;  // from a(m, k) to a(m, k + 1)
  if (!op.transpose_b) {
    for (std::int64_t k = 0; k < op.K; ++k) {
      const T factor = a[k * step];
      const T* b_row = b + k * op.ldb;
      for (std::int64_t n = 0; n < op.N; ++n) row[n] += factor * b_row[n];
    }
    return;
  }
  for (std::int64_t n = 0; n < op.N; ++n) {
    const T* b_row = b + n * op.ldb;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t k = 0; k < op.K; ++k) sum += a[k * step] * b_row[k];
    row[n] += sum;
  }
}

template <class T>
void run_plain(const Gemm& op) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, op.N * op.K));
  parallel_for(op.batch * op.M, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t product = i / op.M, m = i % op.M;
      const T* a = static_cast<const T*>(op.a) + product * op.stride_a;
      const T* b = static_cast<const T*>(op.b) + product * op.stride_b;
      T* c = static_cast<T*>(op.c) + product * op.stride_c;
      start_rows(op, c, m, m + 1);
      plain_row(op, a + m * (op.transpose_a ? 1 : op.lda), b, c + m * op.ldc);
    }
  });
}

void run_onednn(const Gemm& op) {
  for (std::int64_t i = 0; i < op.batch; ++i) {
    const float* a = static_cast<const float*>(op.a) + i * op.stride_a;
    const float* b = static_cast<const float*>(op.b) + i * op.stride_b;
    float* c = static_cast<float*>(op.c) + i * op.stride_c;
    if (op.bias) {
      parallel_for(op.M, 64,
                   [&](std::int64_t begin, std::int64_t end) { start_rows(op, c, begin, end); });
    }
    const float beta = op.bias || op.accumulate ? 1.0f : 0.0f;
    const auto status = dnnl::sgemm(op.transpose_a ? 'T' : 'N', op.transpose_b ? 'T' : 'N', op.M,
                                    op.N, op.K, 1.0f, a, op.lda, b, op.ldb, beta, c, op.ldc);
    require(status == dnnl::status::success,
            "gemm: oneDNN expects a valid product, found status {}", static_cast<int>(status));
  }
}

}  // namespace

Plan plan(const Gemm& op, const Device&) {
  require(op.dtype == DType::f32 || op.dtype == DType::f64,
          "gemm: dtype expects f32 or f64 on cpu, found {}", op.dtype);
  const bool small = op.M * op.N * op.K <= kPlainWork;
  return {op.dtype == DType::f32 && !small ? "onednn" : "plain"};
}

void run(const Gemm& op, const Plan& plan, void*, const Stream&) {
  if (op.batch * op.M * op.N == 0) return;
  if (std::string_view(plan.variant) == "onednn") return run_onednn(op);
  with_float(op.dtype, [&]<class T>(Type<T>) { run_plain<T>(op); });
}

}  // namespace convoy::on_cpu
