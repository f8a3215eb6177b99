// SPDX-License-Identifier: MIT
#pragma once
// Pooling by its definition: every output lists the input pixels that it looks at, and gradients
// scatter along the same lists.

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/pool2d.h"

namespace convoy::reference {

struct Pool2d {
  std::int64_t N, H, W, C, P, Q;
  std::int64_t kernel[2], stride[2], padding[2], dilation[2];
  bool adaptive = false, count_include_pad = true;

  std::int64_t in(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) const {
    return ((n * H + h) * W + w) * C + c;
  }
  std::int64_t out(std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t c) const {
    return ((n * P + p) * Q + q) * C + c;
  }

  // Pixels h * W + w of output (p, q), in order, and what an average divides by.
  std::vector<std::int64_t> pixels(std::int64_t p, std::int64_t q, double* divisor) const {
    std::vector<std::int64_t> list;
    double counted = 0;
    if (adaptive) {
      const auto lo = [](std::int64_t i, std::int64_t size, std::int64_t bins) {
        return static_cast<std::int64_t>(std::floor(double(i) * double(size) / double(bins)));
      };
      const auto hi = [](std::int64_t i, std::int64_t size, std::int64_t bins) {
        return static_cast<std::int64_t>(std::ceil(double(i + 1) * double(size) / double(bins)));
      };
      for (std::int64_t h = lo(p, H, P); h < hi(p, H, P); ++h) {
        for (std::int64_t w = lo(q, W, Q); w < hi(q, W, Q); ++w) list.push_back(h * W + w);
      }
      counted = static_cast<double>(list.size());
    } else {
      for (std::int64_t r = 0; r < kernel[0]; ++r) {
        for (std::int64_t s = 0; s < kernel[1]; ++s) {
          const std::int64_t h = p * stride[0] - padding[0] + r * dilation[0];
          const std::int64_t w = q * stride[1] - padding[1] + s * dilation[1];
          const bool inside = h >= 0 && h < H && w >= 0 && w < W;
          if (inside) list.push_back(h * W + w);
          // Padding counts, what ceil_mode adds beyond it does not.
          if (inside || (count_include_pad && h < H + padding[0] && w < W + padding[1])) ++counted;
        }
      }
    }
    if (divisor != nullptr) *divisor = counted;
    return list;
  }

  template <class F>
  void for_each_output(F f) const {
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t p = 0; p < P; ++p) {
        for (std::int64_t q = 0; q < Q; ++q) {
          for (std::int64_t c = 0; c < C; ++c) f(n, p, q, c);
        }
      }
    }
  }
  // The pixel of the first maximum, a NaN above all; -1 if the window is empty.
  std::int64_t largest(const std::vector<double>& x, std::int64_t n, std::int64_t p, std::int64_t q,
                       std::int64_t c) const {
    std::int64_t best = -1;
    for (const std::int64_t pixel : pixels(p, q, nullptr)) {
      const double v = x[in(n, 0, pixel, c)];
      if (best < 0 || v > x[in(n, 0, best, c)] || std::isnan(v)) best = pixel;
    }
    return best;
  }
  std::vector<double> max_forward(const std::vector<double>& x) const {
    std::vector<double> y(N * P * Q * C, -std::numeric_limits<double>::infinity());
    for_each_output([&](auto n, auto p, auto q, auto c) {
      const std::int64_t pixel = largest(x, n, p, q, c);
      if (pixel >= 0) y[out(n, p, q, c)] = x[in(n, 0, pixel, c)];
    });
    return y;
  }
  std::vector<double> max_backward(const std::vector<double>& x,
                                   const std::vector<double>& dy) const {
    std::vector<double> dx(x.size());
    for_each_output([&](auto n, auto p, auto q, auto c) {
      const std::int64_t pixel = largest(x, n, p, q, c);
      if (pixel >= 0) dx[in(n, 0, pixel, c)] += dy[out(n, p, q, c)];
    });
    return dx;
  }
  std::vector<double> avg_forward(const std::vector<double>& x) const {
    std::vector<double> y(N * P * Q * C);
    for_each_output([&](auto n, auto p, auto q, auto c) {
      double divisor, sum = 0;
      for (const std::int64_t pixel : pixels(p, q, &divisor)) sum += x[in(n, 0, pixel, c)];
      y[out(n, p, q, c)] = sum / divisor;
    });
    return y;
  }
  std::vector<double> avg_backward(const std::vector<double>& dy) const {
    std::vector<double> dx(N * H * W * C);
    for_each_output([&](auto n, auto p, auto q, auto c) {
      double divisor;
      for (const std::int64_t pixel : pixels(p, q, &divisor)) {
        dx[in(n, 0, pixel, c)] += dy[out(n, p, q, c)] / divisor;
      }
    });
    return dx;
  }
};

inline Pool2d pool2d_of(const Pool2dGeometry& g) {
  Pool2d r{g.batch,
           g.h.in,
           g.w.in,
           g.channels,
           g.h.out,
           g.w.out,
           {g.h.kernel, g.w.kernel},
           {g.h.stride, g.w.stride},
           {g.h.padding, g.w.padding},
           {g.h.dilation, g.w.dilation}};
  r.adaptive = g.h.adaptive;
  r.count_include_pad = g.count_include_pad;
  return r;
}

}  // namespace convoy::reference
