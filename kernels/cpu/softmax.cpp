// SPDX-License-Identifier: MIT
#include "kernels/softmax.h"

#include "kernels/cpu/log_sum_exp.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

template <class T>
void softmax_row(const T* x, std::int64_t classes, bool log, T* y) {
  const LogSumExp<T> l = log_sum_exp(x, classes, log ? nullptr : y);
  if (log) {
#pragma omp simd
    for (std::int64_t k = 0; k < classes; ++k) y[k] = (x[k] - l.max) - l.log_sum;
  } else {
    const T scale = static_cast<T>(1 / l.sum);
#pragma omp simd
    for (std::int64_t k = 0; k < classes; ++k) y[k] *= scale;
  }
}

template <class T>
void gradient_row(const SoftmaxBackward& op, const T* y, const T* dy, T* dx) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < op.classes; ++k) {
    sum += static_cast<double>(op.log ? dy[k] : dy[k] * y[k]);
  }
  const T total = static_cast<T>(sum);
#pragma omp simd
  for (std::int64_t k = 0; k < op.classes; ++k) {
    const T v = op.log ? dy[k] - exp_of(y[k]) * total : y[k] * (dy[k] - total);
    dx[k] = op.accumulate ? dx[k] + v : v;
  }
}

}  // namespace

Plan plan(const SoftmaxForward&, const Device&) { return {.variant = "row"}; }
Plan plan(const SoftmaxBackward&, const Device&) { return {.variant = "row"}; }

void run(const SoftmaxForward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    parallel_for(op.rows, rows_per_thread(op.classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        softmax_row(static_cast<const T*>(op.x) + r * op.classes, op.classes, op.log,
                    static_cast<T*>(op.y) + r * op.classes);
      }
    });
  });
}

void run(const SoftmaxBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    parallel_for(op.rows, rows_per_thread(op.classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t at = r * op.classes;
        gradient_row(op, static_cast<const T*>(op.y) + at, static_cast<const T*>(op.dy) + at,
                     static_cast<T*>(op.dx) + at);
      }
    });
  });
}

}  // namespace convoy::on_cpu
