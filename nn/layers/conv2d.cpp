// SPDX-License-Identifier: MIT
#include "nn/layers/conv2d.h"

#include "runtime/ops/conv2d.h"

namespace convoy::nn {

Conv2d::Conv2d(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel_size,
               const Conv2dSettings& settings)
    : settings_(settings) {
  const std::int64_t groups = settings.groups;
  require(in_channels > 0 && out_channels > 0 && kernel_size > 0 && groups > 0,
          "Conv2d: channels, kernel size and groups expect 1 or more, found {}, {}, {} and {}",
          in_channels, out_channels, kernel_size, groups);
  require(in_channels % groups == 0 && out_channels % groups == 0,
          "Conv2d: groups expects a divisor of {} and {} channels, found {}", in_channels,
          out_channels, groups);
  const Shape shape{out_channels, kernel_size, kernel_size, in_channels / groups};
  weight_ = add_parameter("weight", shape, default_init(shape));
  if (settings.bias) bias_ = add_parameter("bias", {out_channels}, default_init(shape));
}

Conv2dOptions Conv2d::options() const {
  const Conv2dSettings& s = settings_;
  return {.stride = {s.stride, s.stride},
          .padding = {s.padding, s.padding},
          .dilation = {s.dilation, s.dilation},
          .groups = s.groups};
}

Tensor Conv2d::forward(const Tensor& x) { return conv2d(x, weight_, bias_, options()); }

}  // namespace convoy::nn
