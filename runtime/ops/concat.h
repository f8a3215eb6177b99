// SPDX-License-Identifier: MIT
#pragma once
// Tensors side by side along one dimension. Strided parts are read in place.
//
//   Tensor y = concat({a, b, c}, -1);   // [N, H, W, Ca + Cb + Cc]

#include <vector>

#include "runtime/tensor.h"

namespace convoy {

// Throws Error for no parts at all, and where a dtype or any other dimension differs.
Tensor concat(const std::vector<Tensor>& parts, int dim);

}  // namespace convoy
