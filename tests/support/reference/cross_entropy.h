// SPDX-License-Identifier: MIT
#pragma once
// Cross entropy as PyTorch composes it: log_softmax, then nll_loss and a smoothing term (class
// index), or a product with the smoothed targets (soft). Gradients through the Jacobian.

#include "tests/support/reference/softmax.h"

namespace convoy::reference {

struct CrossEntropy {
  std::int64_t rows, classes;
  std::vector<double> logits;
  std::vector<std::int64_t> index;   // empty: soft targets
  std::vector<double> soft, weight;  // weight empty: none
  double smoothing = 0;
  std::int64_t ignore_index = -100;

  double w(std::int64_t k) const { return weight.empty() ? 1 : weight[k]; }

  // Each row's loss and, for the mean, the number that the sum is divided by.
  std::vector<double> row_losses() const {
    const std::vector<double> log_p = log_softmax(logits, classes);
    std::vector<double> loss(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (!index.empty() && index[r] == ignore_index) continue;
      double nll = 0, smooth = 0, soft_sum = 0;
      for (std::int64_t k = 0; k < classes; ++k) {
        const double term = -log_p[r * classes + k] * w(k);
        if (index.empty()) {
          soft_sum += term * (soft[r * classes + k] * (1 - smoothing) +
                              smoothing / static_cast<double>(classes));
        } else {
          smooth += term;
          if (k == index[r]) nll = term;
        }
      }
      loss[r] = index.empty()
                    ? soft_sum
                    : (1 - smoothing) * nll + smoothing / static_cast<double>(classes) * smooth;
    }
    return loss;
  }
  double divisor() const {
    if (index.empty()) return static_cast<double>(rows);
    double sum = 0;
    for (const std::int64_t y : index) sum += y == ignore_index ? 0 : w(y);
    return sum;
  }
  // Gradient of sum_r dloss[r] * row_loss[r].
  std::vector<double> backward(const std::vector<double>& dloss) const {
    std::vector<double> d_log_p(logits.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t k = 0; k < classes; ++k) {
        const double uniform = smoothing / static_cast<double>(classes);
        double t;
        if (index.empty()) {
          t = soft[r * classes + k] * (1 - smoothing) + uniform;
        } else if (index[r] == ignore_index) {
          t = 0;
        } else {
          t = (k == index[r] ? 1 - smoothing : 0) + uniform;
        }
        d_log_p[r * classes + k] = -t * w(k) * dloss[r];
      }
    }
    return softmax_backward(logits, d_log_p, classes, true);
  }
};

}  // namespace convoy::reference
