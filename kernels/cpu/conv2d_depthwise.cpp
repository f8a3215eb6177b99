// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_depthwise.h"

#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace convoy::on_cpu {
namespace {

// One row of dy against one row of x: sum[s] += sum over q of dy[q] * x[q * stride + s * dilation].
// All pointers are at the block's first channel; x is where tap 0 of output 0 would read, and may
// lie outside the row, [0, width) of which is inside from w0 on.
struct Row {
  const float *dy, *x;
  std::int64_t Q, dy_step, x_step;  // x_step: channels
  std::int64_t stride, dilation, w0, width;
  float* sum;  // [S][channels], taps sum_step apart
  std::int64_t sum_step;
};

template <class V, int kTaps>
CONVOY_INLINE void add_row(const Row& r) {
  V sum[kTaps];
#pragma GCC unroll 8
  for (int s = 0; s < kTaps; ++s) sum[s] = load<V>(r.sum + s * r.sum_step);
  for (std::int64_t q = 0; q < r.Q; ++q) {
    const V dy = load<V>(r.dy + q * r.dy_step);
    const std::int64_t w = r.w0 + q * r.stride;
    const float* x = r.x + q * r.stride * r.x_step;
    if (w >= 0 && w + (kTaps - 1) * r.dilation < r.width) {
#pragma GCC unroll 8
      for (int s = 0; s < kTaps; ++s) sum[s] += dy * load<V>(x + s * r.dilation * r.x_step);
    } else {
#pragma GCC unroll 8
      for (int s = 0; s < kTaps; ++s) {
        const std::int64_t at = w + s * r.dilation;
        if (at >= 0 && at < r.width) sum[s] += dy * load<V>(x + s * r.dilation * r.x_step);
      }
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kTaps; ++s) store(r.sum + s * r.sum_step, sum[s]);
}

template <class V>
CONVOY_INLINE void add_row(const Row& r, std::int64_t taps) {
  taps == 5 ? add_row<V, 5>(r) : add_row<V, 7>(r);
}

CONVOY_AVX512 void add_row_avx512(const Row& r, std::int64_t taps) { add_row<Float16>(r, taps); }
void add_row_avx2(const Row& r, std::int64_t taps) {
  add_row<Float8>(r, taps);
  Row upper = r;
  upper.dy += 8, upper.x += 8, upper.sum += 8;
  add_row<Float8>(upper, taps);
}

// One output row (n, p): all taps and channels, into sums [R, S, C].
void add_output_row(const Conv2dBackwardWeight& op, std::int64_t row, float* sums) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t n = row / g.P, h0 = row % g.P * g.stride_h - g.pad_h;
  const float* dy = static_cast<const float*>(op.dy) + row * g.Q * g.C;
  for (std::int64_t r = 0; r < g.R; ++r) {
    const std::int64_t h = h0 + r * g.dilation_h;
    if (h < 0 || h >= g.H) continue;
    const float* x = static_cast<const float*>(op.x) + ((n * g.H + h) * g.W - g.pad_w) * g.C;
    for (std::int64_t c = 0; c < g.C; c += kLine) {
      const Row one{dy + c,     x + c,        g.Q,      g.C, g.C,
                    g.stride_w, g.dilation_w, -g.pad_w, g.W, sums + r * g.S * g.C + c,
                    g.C};
      avx512() ? add_row_avx512(one, g.S) : add_row_avx2(one, g.S);
    }
  }
}

}  // namespace

bool conv2d_depthwise_fits(const Conv2dBackwardWeight& op) {
  const Conv2dGeometry& g = op.g;
  return g.groups > 1 && g.groups == g.C && g.K == g.C && g.C % kLine == 0 &&
         (g.S == 5 || g.S == 7);
}

std::size_t conv2d_depthwise_workspace(const Conv2dBackwardWeight& op) {
  Carver carver;
  carver.take<float>(thread_count() * op.g.weight_shape().count());
  return carver.used();
}

// Each piece sums its rows in [R, S, C]; the pieces' sums are added in order and turned to [C, R,
// S].
void conv2d_depthwise(const Conv2dBackwardWeight& op, void* workspace) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t taps = g.R * g.S, size = taps * g.C, pieces = thread_count();
  float* sums = static_cast<float*>(workspace);
  for_each_piece(pieces, [&](std::int64_t piece) {
    float* own = sums + piece * size;
    std::fill(own, own + size, 0.0f);
    const std::int64_t end = share(g.N * g.P, piece + 1, pieces);
    for (std::int64_t row = share(g.N * g.P, piece, pieces); row < end; ++row) {
      add_output_row(op, row, own);
    }
  });
  float* dw = static_cast<float*>(op.dweight);
  for (std::int64_t i = 0; i < size; ++i) {
    float sum = op.accumulate ? dw[i] : 0.0f;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      sum += sums[piece * size + i % taps * g.C + i / taps];
    }
    dw[i] = sum;
  }
}

}  // namespace convoy::on_cpu
