// SPDX-License-Identifier: MIT
#include "kernels/pool2d.h"

#include <algorithm>

namespace convoy {
namespace {

const char* direction(int i) { return i == 0 ? "vertical" : "horizontal"; }

void require_nhwc(const char* op, const Shape& x) {
  require(x.rank() == 4, "{}: x expects 4 dimensions [N, H, W, C], found shape {}", op, x);
  require(x[1] > 0 && x[2] > 0, "{}: x expects a height and width above 0, found shape {}", op, x);
  require(x[1] * x[2] <= INT32_MAX, "{}: x expects at most 2^31 pixels an image, found shape {}",
          op, x);
}

// PyTorch's rule (aten/src/ATen/native/Pool.h): round up in ceil_mode, but drop a last window that
// would start in the right padding.
std::int64_t output_size(const PoolAxis& a, bool ceil_mode) {
  const std::int64_t room = a.in + 2 * a.padding - a.dilation * (a.kernel - 1) - 1;
  if (room < 0 && !(ceil_mode && room + a.stride > 0)) return 0;
  std::int64_t out = (room + (ceil_mode ? a.stride - 1 : 0)) / a.stride + 1;
  if (ceil_mode && (out - 1) * a.stride >= a.in + a.padding) --out;
  return out;
}

PoolAxis axis(const char* op, const Shape& x, const Pool2dOptions& o, int i) {
  const auto d = static_cast<std::size_t>(i);
  PoolAxis a{.in = x[1 + i],
             .kernel = o.kernel_size[d],
             .stride = o.stride[d] == 0 ? o.kernel_size[d] : o.stride[d],
             .padding = o.padding[d],
             .dilation = o.dilation[d]};
  require(a.kernel > 0 && a.stride > 0 && a.dilation > 0,
          "{}: {} kernel_size, stride and dilation expect values above 0, found {}, {} and {}", op,
          direction(i), a.kernel, a.stride, a.dilation);
  const std::int64_t extent = a.dilation * (a.kernel - 1) + 1;
  require(a.padding >= 0 && a.padding <= extent / 2,
          "{}: {} padding expects 0 to half the kernel's extent {}, found {}", op, direction(i),
          extent, a.padding);
  require(a.in + 2 * a.padding + extent <= INT32_MAX && a.stride <= INT32_MAX,
          "{}: {} pixels, kernel's extent and stride expect at most 2^31 - 1, found {}, {} and {}",
          op, direction(i), a.in, extent, a.stride);
  a.out = output_size(a, o.ceil_mode);
  require(a.out > 0, "{}: {} kernel of extent {} does not fit into {} pixels with padding {}", op,
          direction(i), extent, a.in, a.padding);
  return a;
}

PoolAxis adaptive_axis(const char* op, const Shape& x, PoolSize output_size, int i) {
  const PoolAxis a{
      .in = x[1 + i], .out = output_size[static_cast<std::size_t>(i)], .adaptive = true};
  require(a.in <= INT32_MAX / a.out,
          "{}: {} pixels times output_size expect at most 2^31 - 1, found {} x {}", op,
          direction(i), a.in, a.out);
  return a;
}

// Kernels count within one row, and in one direction, in 32 bits.
Pool2dGeometry with_short_rows(const char* op, const Pool2dGeometry& g) {
  const std::int64_t longest = std::max(g.w.in, g.w.out);
  require(g.channels == 0 || longest <= INT32_MAX / g.channels,
          "{}: a row of x and of the result expects at most 2^31 - 1 values, found {} x {}", op,
          longest, g.channels);
  return g;
}

}  // namespace

Pool2dGeometry pool2d_geometry(const char* op, const Shape& x, const Pool2dOptions& options) {
  require_nhwc(op, x);
  return with_short_rows(op, {.batch = x[0],
                              .channels = x[3],
                              .h = axis(op, x, options, 0),
                              .w = axis(op, x, options, 1),
                              .count_include_pad = options.count_include_pad});
}

Pool2dGeometry adaptive_pool2d_geometry(const char* op, const Shape& x, PoolSize output_size) {
  require_nhwc(op, x);
  require(output_size[0] > 0 && output_size[1] > 0,
          "{}: output_size expects values above 0, found {} x {}", op, output_size[0],
          output_size[1]);
  return with_short_rows(op, {.batch = x[0],
                              .channels = x[3],
                              .h = adaptive_axis(op, x, output_size, 0),
                              .w = adaptive_axis(op, x, output_size, 1)});
}

}  // namespace convoy
