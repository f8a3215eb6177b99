// SPDX-License-Identifier: MIT
#pragma once
// Softmax and cross entropy in one, with PyTorch's semantics (torch.nn.functional.cross_entropy).
// With e the label smoothing, K the classes and w the class weights, a row's loss is
//
//   sum_k t_k * (log_sum_exp(z) - z_k)
//   class index y:  t_k = (1 - e) * w_y * [k == y] + e / K * w_k     0 if y == ignore_index
//   soft target q:  t_k = w_k * ((1 - e) * q_k + e / K)
//
// mean divides the sum by the total of w_y over the rows that count (class index), or by the number
// of rows (soft targets, whatever the weights). Of nothing at all the mean is NaN, the sum 0.
//
// A row with a logit of +inf or NaN has the loss NaN; -inf is a class that cannot be.
//
// Losses, lse and the divisor have the logits' statistics_dtype.
//
// A class outside [0, classes) that is not ignore_index is an error. On cpu it throws Error naming
// row and value; kernels on cuda and sim cannot throw, there the row's loss and gradient are NaN.

#include <array>

#include "kernels/base.h"

namespace convoy {

enum class Reduction : std::uint8_t { none, sum, mean };

// What forward and backward read alike.
struct CrossEntropyTarget {
  const void* target = nullptr;        // [rows] if class index, [rows, classes] if soft
  DType dtype = DType::i64;            // i32 or i64: class index; the logits' dtype: soft
  const void* class_weight = nullptr;  // [classes], the logits' dtype; null: 1
  double label_smoothing = 0;
  std::int64_t ignore_index = -100;  // class index only
};

struct CrossEntropyForward {
  std::int64_t rows = 0, classes = 0;
  const void* logits = nullptr;  // [rows, classes]
  CrossEntropyTarget target;
  Reduction reduction = Reduction::mean;
  void* row_loss = nullptr;  // [rows] before reduction; 0 where ignored
  void* lse = nullptr;       // [rows] log_sum_exp, for the gradient
  void* loss = nullptr;      // one value; null with Reduction::none
  void* divisor = nullptr;   // one value, for the gradient; null with Reduction::none
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(CrossEntropyForward)
void require_target_dtype(const CrossEntropyForward& op);  // throws Error

struct CrossEntropyBackward {
  std::int64_t rows = 0, classes = 0;
  const void* logits = nullptr;  // [rows, classes]
  CrossEntropyTarget target;
  Reduction reduction = Reduction::mean;
  const void* lse = nullptr;      // [rows], as the forward wrote it
  const void* divisor = nullptr;  // one value, likewise; null with Reduction::none
  const void* dloss = nullptr;    // one value; [rows] with Reduction::none
  void* dlogits = nullptr;        // [rows, classes]
  bool accumulate = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(CrossEntropyBackward)

// Counts rows whose class is among the k best logits: correct[i] for k[i], and correct[2], the rows
// that counted. Of equal logits the lower class stands before; a NaN stands before any number, and
// a row whose own class has NaN is wrong. Exact integers: sums over batches do not depend on order.
// Of a class outside the range cpu throws Error; on cuda and sim such a row counts and is wrong.
struct TopKCount {
  std::int64_t rows = 0, classes = 0;
  const void* logits = nullptr;  // [rows, classes]
  const void* target = nullptr;  // [rows] class index
  DType target_dtype = DType::i64;
  std::int64_t ignore_index = -100;
  std::array<std::int64_t, 2> k{1, 5};
  std::int64_t* correct = nullptr;  // [3]
  bool accumulate = false;
  DType dtype = DType::f32;
};
CONVOY_KERNEL_OP(TopKCount)
void require_target_dtype(const TopKCount& op);  // throws Error

bool is_class_index(DType dtype);  // i32 or i64

}  // namespace convoy
