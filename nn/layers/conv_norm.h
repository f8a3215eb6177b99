// SPDX-License-Identifier: MIT
#pragma once
// A convolution and the batch norm behind it, as residual networks call them: in training by the
// fused op (runtime/ops/conv2d_norm_act.h), else one layer after the other.
//
//   Normed y = conv_norm(conv1, bn1, x, Act::relu);
//   y = conv_norm(conv2, bn2, y, Act::relu, shortcut);

#include "nn/layers/conv2d.h"
#include "nn/layers/norm.h"

namespace convoy::nn {

enum class Act : std::uint8_t { none, relu };

// act(norm(conv(x)) + shortcut). The convolution has no bias: the norm has one.
Normed conv_norm(Conv2d& conv, BatchNorm2d& norm, const Normed& x, Act act,
                 const Normed& shortcut = {});

}  // namespace convoy::nn
