// SPDX-License-Identifier: MIT
#pragma once
// A convolution as matrix products walk through it: pixels and taps counted along one side, and
// split again without a division.

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/divisor.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

// The geometry as the tiles walk through it.
struct Walk : Extents {
  int inputs, outputs;              // pixels
  int taps_channels, taps_filters;  // R S channels, R S filters
  Radix input, output;              // pixel: n, h, w; n, p, q
  Radix tap_channel, tap_filter;    // r, s, c; r, s, k
  Divisor by_stride_h, by_stride_w;

  explicit Walk(const Conv2dGeometry& g)
      : Extents(g),
        inputs(static_cast<int>(g.N) * H * W),
        outputs(static_cast<int>(g.N) * P * Q),
        taps_channels(R * S * channels),
        taps_filters(R * S * filters),
        input{Divisor(H), Divisor(W)},
        output{Divisor(P), Divisor(Q)},
        tap_channel{Divisor(S), Divisor(channels)},
        tap_filter{Divisor(S), Divisor(filters)},
        by_stride_h(stride_h),
        by_stride_w(stride_w) {}
};

inline bool conv2d_fits_implicit_gemm(const Conv2dGeometry& g) {
  const std::int64_t pixels = g.N * max(g.H * g.W, g.P * g.Q);
  return max(pixels, g.R * g.S * max(g.C, g.K)) <= kMaxTiledExtent;
}

}  // namespace convoy::CONVOY_TARGET
