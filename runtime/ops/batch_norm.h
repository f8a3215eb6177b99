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

// The same for inference, over x's own memory. x must be dense and outside the tape: throws Error
// where an operand's gradient would be recorded.
void batch_norm_act_(const Tensor& x, const Tensor& scale, const Tensor& bias,
                     const Tensor& running_mean, const Tensor& running_var, double eps,
                     const Tensor& residual, bool relu);

}  // namespace convoy
