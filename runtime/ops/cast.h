// SPDX-License-Identifier: MIT
#pragma once
// A tensor's numbers in another dtype (rounding and saturation: kernels/copy.h).

#include "runtime/tensor.h"

namespace convoy {

// Always a new, dense tensor. On the tape between floating dtypes; no gradient flows through
// integers.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace convoy
