// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <cmath>

#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct Fates {
  PhiloxKey key;
  std::uint32_t below;  // 24-bit numbers below this are dropped

  __device__ __forceinline__ bool keeps(std::uint32_t word) const { return word >> 8 >= below; }
  // Chosen by comparison: an array that is indexed lies in memory, not in registers.
  __device__ __forceinline__ bool keeps(std::uint64_t step, std::int64_t row) const {
    const auto block = static_cast<std::uint64_t>(row) / 4;
    const PhiloxWords words = philox_block(key, step, block);
    const auto which = static_cast<int>(row % 4);
    return keeps(which == 0 ? words[0] : which == 1 ? words[1] : which == 2 ? words[2] : words[3]);
  }
};

// Of elements with a fate of their own: four to a Philox block.
template <int N>
__device__ __forceinline__ void decide(const Fates& fates, std::uint64_t step, std::int64_t first,
                                       bool (&kept)[N]) {
  if constexpr (N == 1) {
    kept[0] = fates.keeps(step, first);
  } else {
    for (int b = 0; b < N / 4; ++b) {
      const auto block = static_cast<std::uint64_t>(first) / 4 + static_cast<std::uint64_t>(b);
      const PhiloxWords words = philox_block(fates.key, step, block);
      for (int k = 0; k < 4; ++k) kept[4 * b + k] = fates.keeps(words[k]);
    }
  }
}

// Of elements that share theirs with their row.
template <int N>
__device__ __forceinline__ void decide_rows(const Fates& fates, std::uint64_t step,
                                            std::int64_t row_size, std::int64_t first,
                                            bool (&kept)[N]) {
  std::int64_t row = first / row_size, next = (row + 1) * row_size;
  bool keeps = fates.keeps(step, row);
  for (int j = 0; j < N; ++j) {
    if (first + j == next) {
      keeps = fates.keeps(step, ++row);
      next += row_size;
    }
    kept[j] = keeps;
  }
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    drop_each(Flat flat, Fates fates, const StepState* state, std::int64_t row_size, float scale,
              bool accumulate, const T* x, T* y) {
  const auto step = static_cast<std::uint64_t>(state->step);
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    bool kept[N];
    if (row_size == 1) {
      decide(fates, step, first, kept);
    } else {
      decide_rows(fates, step, row_size, first, kept);
    }
    float v[N], old[N] = {};
    load_floats(x + first, v);
    if (accumulate) load_floats(y + first, old);
    for (int j = 0; j < N; ++j) v[j] = old[j] + (kept[j] ? v[j] * scale : 0.0f);
    store_floats(y + first, v);
  });
}

}  // namespace

Plan plan(const Dropout&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const Dropout& op, const Plan&, void*, const Stream& stream) {
  require_valid(op);
  const Fates fates{op.key, static_cast<std::uint32_t>(std::ceil(op.p * 0x1p24))};
  const float scale = static_cast<float>(op.p < 1 ? 1 / (1 - op.p) : 0);
  with_dtype("dropout", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.x, op.y), stream, drop_each<T>, fates, op.state, op.row,
                scale, op.accumulate, static_cast<const T*>(op.x), static_cast<T*>(op.y));
  });
}

}  // namespace convoy::CONVOY_TARGET
