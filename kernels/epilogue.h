// SPDX-License-Identifier: MIT
#pragma once
// What a matrix product or a convolution does to its result on the way to memory, so that it needs
// no pass of its own:
//
//   y = activation(sums + bias + y_before + residual)      y_before: with accumulate
//
// and of y as stored, the statistics of each column. On cpu there are no statistics: compose the
// plain ops.
//
//   Gemm op = dense_gemm(...);
//   op.epilogue = {.bias = bias.data(), .activation = Activation::relu};

#include "kernels/base.h"

namespace convoy {

// Those that cost a kernel nothing where they are not asked for: an exponential in each of a tile's
// sums would cost registers.
enum class Activation : std::uint8_t { none, relu };

// Mean and biased variance of each channel of a result, over all its pixels and as stored: what the
// norm behind the convolution needs.
struct BatchStatistics {
  float* mean = nullptr;  // [channels]; null: not wanted
  float* var = nullptr;   // [channels]
};

struct Epilogue {
  const void* bias = nullptr;      // [columns, or filters], of the factors' dtype; null: none
  const void* residual = nullptr;  // laid out and typed like the result; null: none
  Activation activation = Activation::none;
  BatchStatistics statistics = {};
};

// Nothing but perhaps a bias.
inline bool is_plain(const Epilogue& e) {
  return e.residual == nullptr && e.activation == Activation::none && e.statistics.mean == nullptr;
}

}  // namespace convoy
