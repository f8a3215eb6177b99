// SPDX-License-Identifier: MIT
#include "nn/layers/squeeze_excite.h"

#include "runtime/ops/binary.h"
#include "runtime/ops/reduce.h"

namespace convoy::nn {

SqueezeExcite::SqueezeExcite(std::int64_t channels, std::int64_t reduced_channels,
                             UnaryFn activation, UnaryFn gate)
    : conv_reduce_(add<Conv2d>("conv_reduce", channels, reduced_channels, 1)),
      conv_expand_(add<Conv2d>("conv_expand", reduced_channels, channels, 1)),
      activation_(activation),
      gate_(gate) {}

Tensor SqueezeExcite::forward(const Tensor& x) {
  const Tensor pooled = mean(x, {1, 2}, /*keepdim=*/true);
  const Tensor hidden = unary(activation_, conv_reduce_(pooled));
  return x * unary(gate_, conv_expand_(hidden));
}

}  // namespace convoy::nn
