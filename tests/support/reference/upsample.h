// SPDX-License-Identifier: MIT
#pragma once
// Resizing as a dense matrix per direction: y = A_h x A_w^T, dx = A_h^T dy A_w. Row p of a matrix
// holds the weights of output p: hat functions around its source coordinate.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace convoy::reference {

enum class Resize { nearest, bilinear, align_corners };

// [out, in], `scale` input pixels per output pixel (unused with align_corners).
inline std::vector<double> resize_matrix(std::int64_t in, std::int64_t out, double scale,
                                         Resize mode) {
  std::vector<double> a(in * out);
  for (std::int64_t p = 0; p < out; ++p) {
    const double at = static_cast<double>(p), last = static_cast<double>(in - 1);
    double source = at * scale;
    if (mode == Resize::bilinear) source = (at + 0.5) * scale - 0.5;
    if (mode == Resize::align_corners) {
      source = out > 1 ? at * last / static_cast<double>(out - 1) : 0;
    }
    source = std::clamp(source, 0.0, last);
    for (std::int64_t i = 0; i < in; ++i) {
      const double away = std::abs(source - static_cast<double>(i));
      // 1e-9: a whole number that division left a little short
      const bool here = static_cast<std::int64_t>(std::floor(source + 1e-9)) == i;
      a[p * in + i] = mode == Resize::nearest ? (here ? 1 : 0) : std::max(0.0, 1 - away);
    }
  }
  return a;
}

struct Upsample {
  std::int64_t N, H, W, C, P, Q;
  std::vector<double> rows, columns;  // [P, H] and [Q, W]

  // Calls f(index into x, index into y, weight) for every pair.
  template <class F>
  void for_each(F f) const {
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t p = 0; p < P; ++p) {
        for (std::int64_t q = 0; q < Q; ++q) {
          for (std::int64_t h = 0; h < H; ++h) {
            for (std::int64_t w = 0; w < W; ++w) {
              for (std::int64_t c = 0; c < C; ++c) {
                f(((n * H + h) * W + w) * C + c, ((n * P + p) * Q + q) * C + c,
                  rows[p * H + h] * columns[q * W + w]);
              }
            }
          }
        }
      }
    }
  }
  std::vector<double> forward(const std::vector<double>& x) const {
    std::vector<double> y(N * P * Q * C);
    for_each([&](auto i, auto o, double weight) { y[o] += weight * x[i]; });
    return y;
  }
  std::vector<double> backward(const std::vector<double>& dy) const {
    std::vector<double> dx(N * H * W * C);
    for_each([&](auto i, auto o, double weight) { dx[i] += weight * dy[o]; });
    return dx;
  }
};

}  // namespace convoy::reference
