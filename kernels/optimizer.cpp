// SPDX-License-Identifier: MIT
#include "kernels/optimizer.h"

namespace convoy {

void require_half_copy(const char* op, DType dtype, const HalfCopy& half) {
  if (half.data == nullptr) return;
  require(dtype == DType::f32, "{}: the master of a half parameter expects f32, found {}", op,
          dtype);
  require(half.dtype == DType::f16 || half.dtype == DType::bf16,
          "{}: the half parameter expects f16 or bf16, found {}", op, half.dtype);
}

}  // namespace convoy
