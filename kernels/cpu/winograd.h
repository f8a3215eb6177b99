// SPDX-License-Identifier: MIT
#pragma once
// The transforms of Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, "Fast algorithms for
// convolutional neural networks", CVPR 2016). A 4 x 4 patch of the input and a 3 x 3 filter give
// 2 x 2 outputs with 16 multiplications instead of 36:
//
//   output = A^T [ (G filter G^T) * (B^T patch B) ] A        (* element by element)
//
// Each transform works on vectors, one lane a channel.

#include "kernels/cpu/simd.h"

namespace convoy::on_cpu::winograd {

inline constexpr int kTile = 2, kPatch = 4, kTaps = 9;

// B^T d B of a patch, rows first.
template <class V>
CONVOY_INLINE void input(const V (&d)[16], V (&v)[16]) {
  V t[16];
  for (int j = 0; j < 4; ++j) {
    t[j] = d[j] - d[8 + j];
    t[4 + j] = d[4 + j] + d[8 + j];
    t[8 + j] = d[8 + j] - d[4 + j];
    t[12 + j] = d[4 + j] - d[12 + j];
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = t[i] - t[i + 2];
    v[i + 1] = t[i + 1] + t[i + 2];
    v[i + 2] = t[i + 2] - t[i + 1];
    v[i + 3] = t[i + 1] - t[i + 3];
  }
}

// A^T m A: 16 products to 2 x 2 outputs.
template <class V>
CONVOY_INLINE void output(const V (&m)[16], V (&y)[4]) {
  V t[8];
  for (int j = 0; j < 4; ++j) {
    t[j] = m[j] + m[4 + j] + m[8 + j];
    t[4 + j] = m[4 + j] - m[8 + j] - m[12 + j];
  }
  for (int i = 0; i < 2; ++i) {
    y[2 * i] = t[4 * i] + t[4 * i + 1] + t[4 * i + 2];
    y[2 * i + 1] = t[4 * i + 1] - t[4 * i + 2] - t[4 * i + 3];
  }
}

// G g G^T of a 3 x 3 filter.
template <class V>
CONVOY_INLINE void filter(const V (&g)[9], V (&u)[16]) {
  V t[12];
  for (int j = 0; j < 3; ++j) {
    const V sum = (g[j] + g[6 + j]) * 0.5f, middle = g[3 + j] * 0.5f;
    t[j] = g[j];
    t[3 + j] = sum + middle;
    t[6 + j] = sum - middle;
    t[9 + j] = g[6 + j];
  }
  for (int i = 0; i < 4; ++i) {
    const V sum = (t[3 * i] + t[3 * i + 2]) * 0.5f, middle = t[3 * i + 1] * 0.5f;
    u[4 * i] = t[3 * i];
    u[4 * i + 1] = sum + middle;
    u[4 * i + 2] = sum - middle;
    u[4 * i + 3] = t[3 * i + 2];
  }
}

// The adjoint of `output`, A dy A^T: what a gradient of 2 x 2 outputs is for the 16 products.
template <class V>
CONVOY_INLINE void output_adjoint(const V (&dy)[4], V (&m)[16]) {
  V t[8];
  for (int j = 0; j < 2; ++j) {
    t[j] = dy[j];
    t[2 + j] = dy[j] + dy[2 + j];
    t[4 + j] = dy[j] - dy[2 + j];
    t[6 + j] = -dy[2 + j];
  }
  for (int i = 0; i < 4; ++i) {
    m[4 * i] = t[2 * i];
    m[4 * i + 1] = t[2 * i] + t[2 * i + 1];
    m[4 * i + 2] = t[2 * i] - t[2 * i + 1];
    m[4 * i + 3] = -t[2 * i + 1];
  }
}

// The adjoint of `filter`, G^T du G: 16 products' gradients to 3 x 3 taps.
template <class V>
CONVOY_INLINE void filter_adjoint(const V (&u)[16], V (&g)[9]) {
  V t[12];
  for (int j = 0; j < 4; ++j) {
    const V sum = (u[4 + j] + u[8 + j]) * 0.5f;
    t[j] = u[j] + sum;
    t[4 + j] = (u[4 + j] - u[8 + j]) * 0.5f;
    t[8 + j] = u[12 + j] + sum;
  }
  for (int i = 0; i < 3; ++i) {
    const V sum = (t[4 * i + 1] + t[4 * i + 2]) * 0.5f;
    g[3 * i] = t[4 * i] + sum;
    g[3 * i + 1] = (t[4 * i + 1] - t[4 * i + 2]) * 0.5f;
    g[3 * i + 2] = t[4 * i + 3] + sum;
  }
}

}  // namespace convoy::on_cpu::winograd
