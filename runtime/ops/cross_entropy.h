// SPDX-License-Identifier: MIT
#pragma once
// Softmax and cross entropy in one node, PyTorch's semantics (kernels/cross_entropy.h).
//
//   Tensor loss = cross_entropy(logits, target);                              // mean over rows
//   Tensor each = cross_entropy(logits, target, {.label_smoothing = 0.1,
//                                                .reduction = Reduction::none});
//
// logits [..., K]. target is either class indices [...] of i32 or i64, or soft targets [..., K] of
// the logits' dtype; it gets no gradient.

#include "kernels/cross_entropy.h"
#include "runtime/tensor.h"

namespace convoy {

struct CrossEntropyOptions {
  Tensor class_weight = {};  // [K], the logits' dtype; undefined: 1
  double label_smoothing = 0;
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};

// A scalar (shape []), or with Reduction::none the loss of each row [...], in f32 where the logits
// are f16 or bf16. Throws Error for operands that do not fit, and on cpu for a class out of range,
// with its row; elsewhere its loss is NaN.
Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options = {});

// How many rows have their class among the best: i64 [3], {best, best five, rows that counted}.
// Rules for ties and NaN: TopKCount. No gradient.
Tensor top_k_correct(const Tensor& logits, const Tensor& target, std::int64_t ignore_index = -100);

}  // namespace convoy
