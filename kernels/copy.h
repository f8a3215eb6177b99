// SPDX-License-Identifier: MIT
#pragma once
// Moving values: fill with a number, copy between any strides (transposes, slices, broadcasts),
// convert between dtypes. All dtypes.
//
//   run(Fill{n, y, 0.0, DType::f32}, {}, nullptr, stream);
//   run(Copy{shape, x.strides(), y.strides(), x.data(), y.data(), dtype}, {}, nullptr, stream);

#include "kernels/base.h"

namespace convoy {

// y = value, converted to dtype as Cast converts f64.
struct Fill {
  std::int64_t count;
  void* y;  // [count]
  double value;
  DType dtype;
};
CONVOY_KERNEL_OP(Fill)

// y (+)= x, each with strides of its own. Accumulating takes f32 or f64, on a GPU f16 and bf16 too.
// x and y do not overlap, and no two elements of y share a place.
struct Copy {
  Shape shape;
  Strides x_strides;
  Strides y_strides;
  const void* x;
  void* y;
  DType dtype;
  bool accumulate = false;
};
CONVOY_KERNEL_OP(Copy)

// y = x in another dtype. Floating results are rounded to nearest even, once (from i64 to f16 and
// bf16 by way of f64). A float becomes an integer by truncation; out of range it saturates and NaN
// becomes 0, where C++ and PyTorch leave the result undefined. Integers wrap.
struct Cast {
  std::int64_t count;
  const void* x;  // [count]
  DType dtype;    // of x
  void* y;        // [count]
  DType out_dtype;
};
CONVOY_KERNEL_OP(Cast)

}  // namespace convoy
