// SPDX-License-Identifier: MIT
#pragma once
// Arrays of random numbers from Philox (kernels/random.h). Element i depends on (key, step, i)
// alone; f32, f16 and bf16 hold the rounded f64 values. Uniform numbers and permutations are the
// same on every device; normal ones where logarithms, cosines and error functions are, which is but
// for the last bits of an f64. For initialisation and shuffling: `step` is part of the op, not of
// StepState.
//
//   run(NormalFill{n, w, DType::f32, key, 0.0, 0.02}, {}, nullptr, stream);

#include "kernels/base.h"
#include "kernels/random.h"

namespace convoy {

// Uniform in [low, high).
struct UniformFill {
  std::int64_t count;
  void* y;  // [count]
  DType dtype;
  PhiloxKey key;
  double low = 0;
  double high = 1;
  std::uint64_t step = 0;
};
CONVOY_KERNEL_OP(UniformFill)

// Normal, by Box and Muller's transform of pairs of words (elements 2i and 2i + 1).
struct NormalFill {
  std::int64_t count;
  void* y;  // [count]
  DType dtype;
  PhiloxKey key;
  double mean = 0;
  double std = 1;
  std::uint64_t step = 0;
};
CONVOY_KERNEL_OP(NormalFill)

// Normal, cut to [low, high] by the inverse of its distribution function, as PyTorch's
// trunc_normal_: low and high are values, not multiples of std.
struct TruncatedNormalFill {
  std::int64_t count;
  void* y;  // [count]
  DType dtype;
  PhiloxKey key;
  double mean = 0;
  double std = 1;
  double low = -2;
  double high = 2;
  std::uint64_t step = 0;
};
CONVOY_KERNEL_OP(TruncatedNormalFill)
void require_valid(const TruncatedNormalFill& op);  // std > 0 and low < high, else throws Error

// The numbers 0 … count - 1 in an order that depends on (key, step) alone: Fisher and Yates'
// shuffle, sequential. A shuffle per epoch takes the epoch as its step. count is below 2^32.
struct PermutationFill {
  std::int64_t count;
  std::int64_t* y;  // [count]
  PhiloxKey key;
  std::uint64_t step = 0;
};
CONVOY_KERNEL_OP(PermutationFill)
void require_valid(const PermutationFill& op);

}  // namespace convoy
