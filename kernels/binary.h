// SPDX-License-Identifier: MIT
#pragma once
// Functions of two operands that broadcast by stride 0. The result is dense; it may lie on an
// operand that is dense as well (in place). Gradients are made of the same op:
//
//   y = a * b    da = dy * b         db = dy * a
//   y = a / b    da = dy / b         db = -(da * y)     (scale -1)
//
// summed to the operand's shape where it was broadcast (ReduceSum in kernels/reduce.h).

#include "kernels/base.h"

namespace convoy {

enum class BinaryFn : std::uint8_t { add, sub, mul, div };

const char* name(BinaryFn fn);  // "add"
inline std::string to_text(BinaryFn fn) { return name(fn); }

// Strides of an operand of shape `from` (strides `strides`), seen as a tensor of shape `to`: 0
// where it is broadcast. Expects from to broadcast to `to` by NumPy's rules, else throws Error.
Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to);

// y (+)= scale * fn(a, b)
struct Binary {
  BinaryFn fn;
  Shape shape;
  Strides a_strides;  // in elements, one per dimension of shape
  Strides b_strides;
  const void* a;
  const void* b;
  void* y;  // dense, of shape `shape`
  DType dtype;
  double scale = 1;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(Binary)

// Both operands dense and of one shape.
inline Binary dense_binary(BinaryFn fn, std::int64_t count, const void* a, const void* b, void* y,
                           DType dtype) {
  return {fn, Shape{count}, Strides{1}, Strides{1}, a, b, y, dtype};
}

}  // namespace convoy
