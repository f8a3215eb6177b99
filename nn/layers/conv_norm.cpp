// SPDX-License-Identifier: MIT
#include "nn/layers/conv_norm.h"

#include "nn/fusion.h"

namespace convoy::nn {

Normed conv_norm(Conv2d& conv, BatchNorm2d& norm, const Normed& x, Act act,
                 const Normed& shortcut) {
  const bool relu = act == Act::relu;
  const bool own_statistics = norm.training() && !norm.is_synchronised();
  if (fusion_enabled() && own_statistics && !conv.bias().defined()) {
    return conv2d_norm_act(x, conv.weight(), conv.options(), norm.operands(), relu, shortcut);
  }
  Tensor y = conv(x.tensor());
  const Tensor residual = shortcut.tensor();
  if (relu) return norm.forward_relu(std::move(y), residual);
  return residual.defined() ? norm.forward_add(std::move(y), residual) : norm(y);
}

}  // namespace convoy::nn
