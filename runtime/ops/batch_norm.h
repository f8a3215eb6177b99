// SPDX-License-Identifier: MIT
#pragma once
// Batch normalisation over all but the last dimension, PyTorch's rules (kernels/batch_norm.h).
//
//   Tensor y = batch_norm(x, scale, bias, running_mean, running_var, training);
//   Tensor z = batch_norm_act(x, scale, bias, running_mean, running_var, training, 0.1, 1e-5,
//                             residual, true);      // relu(bn(x) + residual), one tape node
//
// x is [..., C]; scale, bias and the running estimates are [C] and may each be undefined (the
// running ones together, in training). Training moves the running estimates in place.

#include <memory>

#include "runtime/rank_exchange.h"
#include "runtime/tensor.h"

namespace convoy {

// Throws Error for operands that do not fit, and in training for a single value per channel.
Tensor batch_norm(const Tensor& x, const Tensor& scale, const Tensor& bias,
                  const Tensor& running_mean, const Tensor& running_var, bool training,
                  double momentum = 0.1, double eps = 1e-5);

// With an optional residual [..., C] added and an optional ReLU behind, in the same passes over
// memory.
Tensor batch_norm_act(const Tensor& x, const Tensor& scale, const Tensor& bias,
                      const Tensor& running_mean, const Tensor& running_var, bool training,
                      double momentum, double eps, const Tensor& residual, bool relu);

// The same in training for rows that are spread over ranks: mean and variance, and their part in
// x's gradient, are those of all ranks' rows together. Gradients of scale and bias are of this
// rank's rows: they are summed over ranks as all gradients of parameters are. Forward and backward
// are collective; ranks may have different numbers of rows, also none, and y's gradients must be
// those of one loss: of a mean over all ranks' samples, not over each one's own.
Tensor synchronised_batch_norm_act(const Tensor& x, const Tensor& scale, const Tensor& bias,
                                   const Tensor& running_mean, const Tensor& running_var,
                                   double momentum, double eps, const Tensor& residual, bool relu,
                                   std::shared_ptr<RankExchange> ranks);

// The same for inference, over x's own memory. x must be dense and outside the tape: throws Error
// where an operand's gradient would be recorded.
void batch_norm_act_(const Tensor& x, const Tensor& scale, const Tensor& bias,
                     const Tensor& running_mean, const Tensor& running_var, double eps,
                     const Tensor& residual, bool relu);

}  // namespace convoy
