// SPDX-License-Identifier: MIT
#pragma once
// Layer normalisation by its definition, in long double, so that it can judge an f64 kernel too.

#include <cmath>
#include <cstdint>
#include <vector>

namespace convoy::reference {

struct LayerNorm {
  std::int64_t rows, channels;
  std::vector<double> x, scale, bias;  // scale, bias: empty if absent
  double eps = 1e-5;

  long double w(std::int64_t c) const { return scale.empty() ? 1 : scale[c]; }
  void statistics(std::int64_t r, long double* mean, long double* rstd) const {
    long double sum = 0, square = 0;
    for (std::int64_t c = 0; c < channels; ++c) sum += x[r * channels + c];
    *mean = sum / channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      square += (x[r * channels + c] - *mean) * (x[r * channels + c] - *mean);
    }
    *rstd = 1 / std::sqrt(square / channels + eps);
  }
  std::vector<double> forward() const {
    std::vector<double> y(x.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      long double mean, rstd;
      statistics(r, &mean, &rstd);
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = r * channels + c;
        y[i] = static_cast<double>((x[i] - mean) * rstd * w(c) + (bias.empty() ? 0 : bias[c]));
      }
    }
    return y;
  }
  void backward(const std::vector<double>& dy, std::vector<double>* dx,
                std::vector<double>* d_scale, std::vector<double>* d_bias) const {
    std::vector<long double> scale_sum(channels), bias_sum(channels);
    dx->assign(x.size(), 0);
    for (std::int64_t r = 0; r < rows; ++r) {
      long double mean, rstd, sum = 0, dot = 0;
      statistics(r, &mean, &rstd);
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = r * channels + c;
        const long double n = (x[i] - mean) * rstd;
        sum += dy[i] * w(c);
        dot += dy[i] * w(c) * n;
        scale_sum[c] += dy[i] * n;
        bias_sum[c] += dy[i];
      }
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = r * channels + c;
        const long double n = (x[i] - mean) * rstd;
        (*dx)[i] = static_cast<double>(rstd * (dy[i] * w(c) - (sum + n * dot) / channels));
      }
    }
    d_scale->assign(scale_sum.begin(), scale_sum.end());
    d_bias->assign(bias_sum.begin(), bias_sum.end());
  }
};

}  // namespace convoy::reference
