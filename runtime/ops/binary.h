// SPDX-License-Identifier: MIT
#pragma once
// + - * / of two tensors of one dtype (f32 or f64). Shapes broadcast by NumPy's rules; operands are
// read in place, whatever their strides.
//
//   Tensor gated = x * gate;         // [N, H, W, C] * [N, 1, 1, C]

#include "kernels/binary.h"
#include "runtime/tensor.h"

namespace convoy {

// Throw Error with both shapes, or both dtypes, when they do not fit.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }

}  // namespace convoy
