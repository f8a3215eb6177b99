// SPDX-License-Identifier: MIT
#pragma once
// Linear layers, and the flattening before them.

#include "nn/module.h"

namespace convoy::nn {

// [..., in_features] -> [..., out_features]. Parameters: weight [out, in], bias [out].
class Linear : public Module {
 public:
  Linear(std::int64_t in_features, std::int64_t out_features, bool bias = true);
  Tensor forward(const Tensor& x) override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Tensor weight_, bias_;
};

// [N, H, W, C] -> [N, C H W]: in PyTorch's order, channel by channel, so that the weights of the
// layer behind it mean the same in both. Other ranks: all but the first dimension in one.
Tensor flatten_nchw(const Tensor& x);

class Flatten : public Module {
 public:
  Tensor forward(const Tensor& x) override { return flatten_nchw(x); }
};

}  // namespace convoy::nn
