// SPDX-License-Identifier: MIT
#include "kernels/cross_entropy.h"

namespace convoy {

bool is_class_index(DType dtype) { return dtype == DType::i32 || dtype == DType::i64; }

void require_target_dtype(const CrossEntropyForward& op) {
  require(is_class_index(op.target.dtype) || op.target.dtype == op.dtype,
          "cross_entropy: target expects i32, i64 or the logits' dtype {}, found {}", op.dtype,
          op.target.dtype);
}

void require_target_dtype(const TopKCount& op) {
  require(is_class_index(op.target_dtype), "top_k: target expects i32 or i64, found {}",
          op.target_dtype);
}

}  // namespace convoy
