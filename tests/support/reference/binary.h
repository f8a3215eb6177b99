// SPDX-License-Identifier: MIT
#pragma once
// Broadcasting by division and remainder, element by element, in double precision.

#include <vector>

#include "kernels/binary.h"

namespace convoy::reference {

// Position in an operand with these strides of element `index` (row-major) of `shape`.
inline std::int64_t position(const Shape& shape, const Strides& strides, std::int64_t index) {
  std::int64_t at = 0;
  for (int d = shape.rank(); d-- > 0; index /= shape[d]) at += index % shape[d] * strides[d];
  return at;
}

template <class T>
std::vector<double> binary(const Binary& op) {
  const T *a = static_cast<const T*>(op.a), *b = static_cast<const T*>(op.b);
  std::vector<double> y;
  for (std::int64_t i = 0; i < op.shape.count(); ++i) {
    const double p = a[position(op.shape, op.a_strides, i)];
    const double q = b[position(op.shape, op.b_strides, i)];
    switch (op.fn) {
      case BinaryFn::add:
        y.push_back(op.scale * (p + q));
        break;
      case BinaryFn::sub:
        y.push_back(op.scale * (p - q));
        break;
      case BinaryFn::mul:
        y.push_back(op.scale * p * q);
        break;
      case BinaryFn::div:
        y.push_back(op.scale * p / q);
        break;
    }
  }
  return y;
}

}  // namespace convoy::reference
