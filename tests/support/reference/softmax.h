// SPDX-License-Identifier: MIT
#pragma once
// log_softmax and the gradient through it by the full Jacobian, in double.

#include <cmath>
#include <cstdint>
#include <vector>

namespace convoy::reference {

inline std::vector<double> log_softmax(const std::vector<double>& x, std::int64_t classes) {
  std::vector<double> y(x.size());
  for (std::size_t at = 0; at < x.size(); at += classes) {
    double max = x[at];
    for (std::int64_t k = 0; k < classes; ++k) max = std::fmax(max, x[at + k]);
    double sum = 0;
    for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(x[at + k] - max);
    for (std::int64_t k = 0; k < classes; ++k) y[at + k] = x[at + k] - max - std::log(sum);
  }
  return y;
}

inline std::vector<double> softmax(const std::vector<double>& x, std::int64_t classes) {
  std::vector<double> y = log_softmax(x, classes);
  for (double& v : y) v = std::exp(v);
  return y;
}

// dx_j = sum_k dy_k * d y_k / d x_j
inline std::vector<double> softmax_backward(const std::vector<double>& x,
                                            const std::vector<double>& dy, std::int64_t classes,
                                            bool log) {
  const std::vector<double> p = softmax(x, classes);
  std::vector<double> dx(x.size());
  for (std::size_t at = 0; at < x.size(); at += classes) {
    for (std::int64_t j = 0; j < classes; ++j) {
      for (std::int64_t k = 0; k < classes; ++k) {
        const double same = j == k ? 1 : 0;
        dx[at + j] += dy[at + k] * (log ? same - p[at + j] : p[at + k] * (same - p[at + j]));
      }
    }
  }
  return dx;
}

}  // namespace convoy::reference
