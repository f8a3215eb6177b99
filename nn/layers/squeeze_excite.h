// SPDX-License-Identifier: MIT
#pragma once
// Squeeze-and-excitation (Hu et al., arXiv:1709.01507): every channel is scaled by a gate computed
// from the channels' means.

#include "nn/layers/conv2d.h"
#include "runtime/ops/elementwise.h"

namespace convoy::nn {

// [N, H, W, C] -> the same. Names of the parts are timm's.
class SqueezeExcite : public Module {
 public:
  SqueezeExcite(std::int64_t channels, std::int64_t reduced_channels,
                UnaryFn activation = UnaryFn::relu, UnaryFn gate = UnaryFn::sigmoid);
  Tensor forward(const Tensor& x) override;

 private:
  Conv2d &conv_reduce_, &conv_expand_;
  UnaryFn activation_, gate_;
};

}  // namespace convoy::nn
