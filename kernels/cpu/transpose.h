// SPDX-License-Identifier: MIT
#pragma once
// Transposes of small blocks in registers: log2(lanes) rounds of exchanges between pairs of
// vectors, each of which swaps the off-diagonal quarters of all 2s x 2s blocks.

#include <utility>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/simd.h"

namespace convoy::on_cpu {

template <class V>
struct IntsOf;
template <>
struct IntsOf<Float16> {
  typedef int type __attribute__((vector_size(64)));
};
template <>
struct IntsOf<Float8> {
  typedef int type __attribute__((vector_size(32)));
};

template <class V, int kStep, int... kLane>
CONVOY_INLINE void exchange(V& a, V& b, std::integer_sequence<int, kLane...>) {
  using Ints = typename IntsOf<V>::type;
  constexpr int kCount = kLanes<V>;
  const V low =
      __builtin_shuffle(a, b, Ints{((kLane & kStep) == 0 ? kLane : kCount + kLane - kStep)...});
  b = __builtin_shuffle(a, b, Ints{((kLane & kStep) == 0 ? kLane + kStep : kCount + kLane)...});
  a = low;
}

template <class V, int kStep>
CONVOY_INLINE void exchange_round(V (&rows)[kLanes<V>]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<V>; ++i) {
    if ((i & kStep) != 0) continue;
    exchange<V, kStep>(rows[i], rows[i + kStep], std::make_integer_sequence<int, kLanes<V>>());
  }
}

// to[j * to_stride + i] = from[i * from_stride + j], i and j below the number of lanes.
template <class V>
CONVOY_INLINE void transpose_square(const float* from, std::int64_t from_stride, float* to,
                                    std::int64_t to_stride) {
  V rows[kLanes<V>];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<V>; ++i) rows[i] = load<V>(from + i * from_stride);
  exchange_round<V, 1>(rows);
  exchange_round<V, 2>(rows);
  exchange_round<V, 4>(rows);
  if constexpr (kLanes < V >> 8) exchange_round<V, 8>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<V>; ++i) store(to + i * to_stride, rows[i]);
}

// The same for 16 x 16.
template <class V>
CONVOY_INLINE void transpose_lines(const float* from, std::int64_t from_stride, float* to,
                                   std::int64_t to_stride) {
  for (int i = 0; i < kLine; i += kLanes<V>) {
    for (int j = 0; j < kLine; j += kLanes<V>) {
      transpose_square<V>(from + i * from_stride + j, from_stride, to + j * to_stride + i,
                          to_stride);
    }
  }
}

}  // namespace convoy::on_cpu
