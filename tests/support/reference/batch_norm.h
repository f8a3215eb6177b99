// SPDX-License-Identifier: MIT
#pragma once
// Batch normalisation by its definition, in double; sums over rows in long double, so that they
// can judge an f64 kernel too.

#include <cmath>
#include <cstdint>
#include <vector>

namespace convoy::reference {

struct BatchNorm {
  std::int64_t rows, channels;
  std::vector<double> x, residual, scale, bias;  // residual, scale, bias: empty if absent
  std::vector<double> mean, var;                 // statistics to use
  double eps;
  bool relu;

  // The batch's own mean and biased variance.
  void take_batch_statistics() {
    mean.assign(channels, 0);
    var.assign(channels, 0);
    for (std::int64_t c = 0; c < channels; ++c) {
      long double sum = 0, square = 0;
      for (std::int64_t r = 0; r < rows; ++r) sum += x[r * channels + c];
      const long double center = sum / rows;
      for (std::int64_t r = 0; r < rows; ++r) {
        const long double d = x[r * channels + c] - center;
        square += d * d;
      }
      mean[c] = static_cast<double>(center);
      var[c] = static_cast<double>(square / rows);
    }
  }
  double normalised(std::int64_t r, std::int64_t c) const {
    return (x[r * channels + c] - mean[c]) / std::sqrt(var[c] + eps);
  }
  double before_activation(std::int64_t r, std::int64_t c) const {
    return normalised(r, c) * (scale.empty() ? 1 : scale[c]) + (bias.empty() ? 0 : bias[c]) +
           (residual.empty() ? 0 : residual[r * channels + c]);
  }
  std::vector<double> forward() const {
    std::vector<double> y(x.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double v = before_activation(r, c);
        y[r * channels + c] = relu && v < 0 ? 0 : v;
      }
    }
    return y;
  }

  struct Gradients {
    std::vector<double> x, residual, scale, bias;
  };
  Gradients backward(const std::vector<double>& dy, bool training) const {
    Gradients d{std::vector<double>(x.size()), std::vector<double>(x.size()),
                std::vector<double>(channels), std::vector<double>(channels)};
    for (std::int64_t c = 0; c < channels; ++c) {
      long double sum = 0, dot = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t i = r * channels + c;
        d.residual[i] = relu && before_activation(r, c) <= 0 ? 0 : dy[i];
        sum += d.residual[i];
        dot += d.residual[i] * normalised(r, c);
      }
      d.bias[c] = static_cast<double>(sum);
      d.scale[c] = static_cast<double>(dot);
      const double gain = (scale.empty() ? 1 : scale[c]) / std::sqrt(var[c] + eps);
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t i = r * channels + c;
        const double through_statistics =
            training ? (d.bias[c] + normalised(r, c) * d.scale[c]) / static_cast<double>(rows) : 0;
        d.x[i] = gain * (d.residual[i] - through_statistics);
      }
    }
    return d;
  }
};

}  // namespace convoy::reference
