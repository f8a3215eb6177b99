// SPDX-License-Identifier: MIT
#include <cmath>

#include "kernels/upsample.h"

namespace convoy {
namespace {

UpsampleAxis axis(const Shape& x, const UpsampleOptions& o, int i) {
  const auto d = static_cast<std::size_t>(i);
  const std::int64_t size = o.size[d];
  const double factor = o.scale_factor[d];
  require(
      (size > 0) != (factor > 0) && size >= 0 && !(factor < 0),
      "upsample: expects either size or scale_factor above 0, found size {} and scale_factor {}",
      size, factor);
  UpsampleAxis a{.in = x[1 + i], .out = size};
  if (size == 0) a.out = static_cast<std::int64_t>(std::floor(static_cast<double>(a.in) * factor));
  require(a.out > 0, "upsample: scale_factor {} leaves nothing of {} pixels", factor, a.in);
  a.scale = size > 0 ? static_cast<double>(a.in) / static_cast<double>(a.out) : 1 / factor;
  if (o.align_corners) {
    a.scale = a.out > 1 ? static_cast<double>(a.in - 1) / static_cast<double>(a.out - 1) : 0;
  }
  return a;
}

}  // namespace

UpsampleGeometry upsample_geometry(const Shape& x, const UpsampleOptions& options) {
  require(x.rank() == 4, "upsample: x expects 4 dimensions [N, H, W, C], found shape {}", x);
  require(x[1] > 0 && x[2] > 0, "upsample: x expects a height and width above 0, found shape {}",
          x);
  require(!options.align_corners || options.mode == UpsampleMode::bilinear,
          "upsample: align_corners expects the bilinear mode, found nearest");
  return {.batch = x[0],
          .channels = x[3],
          .h = axis(x, options, 0),
          .w = axis(x, options, 1),
          .mode = options.mode,
          .align_corners = options.align_corners};
}

}  // namespace convoy
