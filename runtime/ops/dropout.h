// SPDX-License-Identifier: MIT
#pragma once
// Dropout and stochastic depth, for training: in evaluation a module leaves them out. What is kept
// depends on (key, the device's StepState::step, element) and is worked out again in the backward
// pass, so no mask is stored; backward() in another step is an Error. Elements are numbered in the
// batch of all ranks, of which x has the rows (its first dimension) from first_row() on
// (runtime/random.h). One key per module: Generator::next_key().

#include "kernels/random.h"
#include "runtime/tensor.h"

namespace convoy {

// Zeroes each element with probability p in [0, 1] and multiplies the others by 1 / (1 - p).
Tensor dropout(const Tensor& x, double p, const PhiloxKey& key);
// The same for whole samples (the first dimension): Huang et al., arXiv:1603.09382.
Tensor drop_path(const Tensor& x, double p, const PhiloxKey& key);

}  // namespace convoy
