// SPDX-License-Identifier: MIT
#pragma once
// Losses, PyTorch's formulas and reductions. For classes there is the op cross_entropy, with label
// smoothing, soft targets and class weights (runtime/ops/cross_entropy.h).
//
//   Tensor loss = mse_loss(model(x), target);             // the mean over all elements
//
// Prediction and target have one shape, or shapes that broadcast; gradients flow into both.

#include "kernels/cross_entropy.h"
#include "runtime/ops/cross_entropy.h"
#include "runtime/tensor.h"

namespace convoy::nn {

// (x - y)^2
Tensor mse_loss(const Tensor& x, const Tensor& y, Reduction reduction = Reduction::mean);
// |x - y|; the derivative at 0 is 0
Tensor l1_loss(const Tensor& x, const Tensor& y, Reduction reduction = Reduction::mean);
// With d = |x - y|: d^2 / 2 up to delta, then delta (d - delta / 2). Throws Error unless delta > 0.
Tensor huber_loss(const Tensor& x, const Tensor& y, double delta = 1,
                  Reduction reduction = Reduction::mean);
// -y log(p) - (1 - y) log(1 - p) for p = sigmoid(logits), without leaving the range of floats.
Tensor bce_with_logits(const Tensor& logits, const Tensor& y,
                       Reduction reduction = Reduction::mean);

}  // namespace convoy::nn
