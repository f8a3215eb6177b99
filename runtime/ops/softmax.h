// SPDX-License-Identifier: MIT
#pragma once
// Softmax and its logarithm over one dimension (kernels/softmax.h). The last one is read in place;
// another is moved there by a copy.
//
//   Tensor p = softmax(logits);        // [..., K]

#include "runtime/tensor.h"

namespace convoy {

Tensor softmax(const Tensor& x, int dim = -1);
Tensor log_softmax(const Tensor& x, int dim = -1);

}  // namespace convoy
