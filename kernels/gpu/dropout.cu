// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <cmath>

#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct Fates {
  PhiloxKey key;
  std::uint32_t below;  // 24-bit numbers below this are dropped

  // Bit k: whether element 4 * block + k is kept. An array that is indexed by what is not known to
  // the compiler lies in memory, bits lie in a register.
  __device__ __forceinline__ std::uint32_t of_block(std::uint64_t step, std::int64_t block) const {
    const PhiloxWords words = philox_block(key, step, static_cast<std::uint64_t>(block));
    std::uint32_t kept = 0;
    for (int k = 0; k < 4; ++k) kept |= std::uint32_t{words[k] >> 8 >= below} << k;
    return kept;
  }
};

// Bit j: whether element `first` + j of all is kept, where each has a fate of its own: four to a
// Philox block. A pack that begins inside a block reaches into one block more.
template <int N>
__device__ __forceinline__ std::uint32_t decide(const Fates& fates, std::uint64_t step,
                                                std::int64_t first) {
  const std::int64_t block = first / 4;
  const auto before = static_cast<int>(first % 4);
  std::uint32_t kept = fates.of_block(step, block);
  for (int b = 1; b < N / 4; ++b) kept |= fates.of_block(step, block + b) << 4 * b;
  if (N > 1 && before > 0) kept |= fates.of_block(step, block + N / 4) << N;
  return kept >> before;
}

// The same where they share theirs with their row.
template <int N>
__device__ __forceinline__ std::uint32_t decide_rows(const Fates& fates, std::uint64_t step,
                                                     std::int64_t row_size, std::int64_t first) {
  std::int64_t row = first / row_size, next = (row + 1) * row_size;
  std::uint32_t keeps = decide<1>(fates, step, row) & 1, kept = 0;
  for (int j = 0; j < N; ++j) {
    if (first + j == next) {
      keeps = decide<1>(fates, step, ++row) & 1;
      next += row_size;
    }
    kept |= keeps << j;
  }
  return kept;
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    drop_each(Flat flat, Fates fates, const StepState* state, std::int64_t row_size,
              std::int64_t before, float scale, bool accumulate, const T* x, T* y) {
  begin_kernel();
  const auto step = static_cast<std::uint64_t>(state->step);
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    const std::uint32_t kept = row_size == 1
                                   ? decide<N>(fates, step, before + first)
                                   : decide_rows<N>(fates, step, row_size, before + first);
    float v[N];
    load_floats(x + first, v);
    for (int j = 0; j < N; ++j) v[j] = kept >> j & 1 ? v[j] * scale : 0.0f;
    if (accumulate) {
      float old[N];
      load_floats(y + first, old);
      for (int j = 0; j < N; ++j) v[j] += old[j];
    }
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
                op.first, scale, op.accumulate, static_cast<const T*>(op.x), static_cast<T*>(op.y));
  });
}

}  // namespace convoy::CONVOY_TARGET
