// SPDX-License-Identifier: MIT
#include "kernels/conv2d_geometry.h"

#include "kernels/require.h"

namespace convoy {
namespace {

void check_options(const Shape& x, const Shape& weight, const Conv2dOptions& o) {
  require(o.stride[0] > 0 && o.stride[1] > 0,
          "conv2d: stride expects positive values, found {} x {} (x {}, weight {})", o.stride[0],
          o.stride[1], x, weight);
  require(o.dilation[0] > 0 && o.dilation[1] > 0,
          "conv2d: dilation expects positive values, found {} x {} (x {}, weight {})",
          o.dilation[0], o.dilation[1], x, weight);
  require(o.padding[0] >= 0 && o.padding[1] >= 0,
          "conv2d: padding expects no negative values, found {} x {} (x {}, weight {})",
          o.padding[0], o.padding[1], x, weight);
  require(o.groups > 0, "conv2d: groups expects a positive value, found {} (x {}, weight {})",
          o.groups, x, weight);
}

void check_channels(const Shape& x, const Shape& weight, std::int64_t groups) {
  require(x[3] > 0, "conv2d: x expects at least one channel, found shape {} (weight {})", x,
          weight);
  require(weight.count() > 0, "conv2d: weight expects no empty dimension, found {} (x {})", weight,
          x);
  require(x[3] % groups == 0 && weight[0] % groups == 0,
          "conv2d: groups {} must divide the {} input and {} output channels (x {}, weight {})",
          groups, x[3], weight[0], x, weight);
  require(
      weight[3] == x[3] / groups,
      "conv2d: weight expects {} input channels a group, x has {} in {} groups (x {}, weight {})",
      weight[3], x[3], groups, x, weight);
}

}  // namespace

Conv2dGeometry conv2d_geometry(const Shape& x, const Shape& weight, const Conv2dOptions& o) {
  require(x.rank() == 4, "conv2d: x expects 4 dimensions (N, H, W, C), found shape {} (weight {})",
          x, weight);
  require(weight.rank() == 4,
          "conv2d: weight expects 4 dimensions (K, R, S, C), found shape {} (x {})", weight, x);
  check_options(x, weight, o);
  check_channels(x, weight, o.groups);

  Conv2dGeometry g{.N = x[0], .C = x[3], .H = x[1], .W = x[2]};
  g.K = weight[0], g.R = weight[1], g.S = weight[2];
  g.stride_h = o.stride[0], g.stride_w = o.stride[1];
  g.pad_h = o.padding[0], g.pad_w = o.padding[1];
  g.dilation_h = o.dilation[0], g.dilation_w = o.dilation[1];
  g.groups = o.groups;
  const std::int64_t free_h = g.H + 2 * g.pad_h - g.dilation_h * (g.R - 1) - 1;
  const std::int64_t free_w = g.W + 2 * g.pad_w - g.dilation_w * (g.S - 1) - 1;
  require(
      free_h >= 0 && free_w >= 0,
      "conv2d: the kernel covers {} x {}, more than the padded input's {} x {} (x {}, weight {})",
      g.dilation_h * (g.R - 1) + 1, g.dilation_w * (g.S - 1) + 1, g.H + 2 * g.pad_h,
      g.W + 2 * g.pad_w, x, weight);
  g.P = free_h / g.stride_h + 1;
  g.Q = free_w / g.stride_w + 1;
  return g;
}

}  // namespace convoy
