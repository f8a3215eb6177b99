// SPDX-License-Identifier: MIT
#pragma once
// log(sum(exp(x))) of one row without overflow: the maximum is taken out first. What softmax and
// cross_entropy share.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/math.h"

namespace convoy::on_cpu {

template <class T>
struct LogSumExp {
  T max;
  double sum;  // of exp(x - max), at least 1; NaN if any logit is
  T log_sum;   // the answer is max + log_sum, in two parts: x - max is exact to half a digit
};

// `exps`, if given, receives exp(x - max); it may be x.
template <class T>
LogSumExp<T> log_sum_exp(const T* x, std::int64_t classes, T* exps = nullptr) {
  T max = x[0];
#pragma omp simd reduction(max : max)
  for (std::int64_t k = 1; k < classes; ++k) max = x[k] > max ? x[k] : max;
  double sum = 0;  // a NaN that the maximum passed over shows here
  if (exps == nullptr) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t k = 0; k < classes; ++k) sum += static_cast<double>(exp_of(x[k] - max));
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t k = 0; k < classes; ++k) {
      exps[k] = exp_of(x[k] - max);
      sum += static_cast<double>(exps[k]);
    }
  }
  return {max, sum, static_cast<T>(std::log(sum))};
}

// Rows of this many exponentials that are worth a thread.
inline std::int64_t rows_per_thread(std::int64_t classes) {
  return (1 << 12) / std::max<std::int64_t>(classes, 1) + 1;
}

}  // namespace convoy::on_cpu
