// SPDX-License-Identifier: MIT
#pragma once
// A convolution's geometry as kernels count in it: each extent fits an int, and so do the weights
// of one filter; the elements of a whole array need not.

#include "kernels/conv2d_geometry.h"
#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct Extents {
  int H, W, C, K, R, S, P, Q;
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int channels, filters;  // of one group

  __host__ __device__ explicit Extents(const Conv2dGeometry& g)
      : H(count(g.H)),
        W(count(g.W)),
        C(count(g.C)),
        K(count(g.K)),
        R(count(g.R)),
        S(count(g.S)),
        P(count(g.P)),
        Q(count(g.Q)),
        stride_h(count(g.stride_h)),
        stride_w(count(g.stride_w)),
        pad_h(count(g.pad_h)),
        pad_w(count(g.pad_w)),
        dilation_h(count(g.dilation_h)),
        dilation_w(count(g.dilation_w)),
        channels(C / count(g.groups)),
        filters(K / count(g.groups)) {}

 private:
  __host__ __device__ static int count(std::int64_t extent) { return static_cast<int>(extent); }
};

}  // namespace convoy::CONVOY_TARGET
