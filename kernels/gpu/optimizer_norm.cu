// SPDX-License-Identifier: MIT
// What is asked of all gradients before a step: are they finite, how long are they, by how much are
// they clipped.
#include <algorithm>
#include <limits>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/warp.cuh"
#include "kernels/optimizer.h"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256;

struct Slices {
  const ParameterSlice* at;
  std::int64_t count;
  std::int32_t first;
};

__device__ __forceinline__ bool is_finite(float v) {
  return fabsf(v) <= std::numeric_limits<float>::max();
}

// The lowest index wins, whoever comes first. What lies between slices is no parameter's.
__device__ inline void report_bad(const Slices& slices, std::int64_t element, StepState* state) {
  atomicExch(&state->found_inf, 1);           // all who write, write the same
  std::int64_t low = 0, high = slices.count;  // of the slices that begin after the element
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (slices.at[middle].begin <= element) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return;
  const ParameterSlice slice = slices.at[low - 1];
  if (!inside(element - slice.begin, slice.count)) return;
  atomicMin(&state->first_bad, slices.first + static_cast<std::int32_t>(low - 1));
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    check_each(Flat flat, const T* x, Slices slices, StepState* state) {
  begin_kernel();
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float v[N];
    load_floats(x + first, v);
    bool finite = true;
    for (const float e : v) finite = finite && is_finite(e);
    if (finite) return;
    for (int j = 0; j < N; ++j) {
      if (!is_finite(v[j])) report_bad(slices, first + j, state);
    }
  });
}

struct NormStorage {
  BlockScratch<double, kThreads> sum;
};

// A function of count alone, as the order of the sum is.
int norm_blocks(std::int64_t count) {
  constexpr std::int64_t kMost = 1024, kPerBlock = 16 * kThreads;
  return static_cast<int>(std::clamp((count + kPerBlock - 1) / kPerBlock, std::int64_t{1}, kMost));
}

// Each thread sums packs, a grid apart, and at the end of the array at most one single element.
template <class T>
__global__ void __launch_bounds__(kThreads)
    squares_per_block(std::int64_t count, bool aligned, const T* x, double* of_block) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<NormStorage>();
  const std::int64_t me = std::int64_t{blockIdx.x} * kThreads + threadIdx.x, packs = count / N;
  double sum = 0;
  const auto add = [&](float v) { sum += static_cast<double>(v) * static_cast<double>(v); };
  for (std::int64_t i = me; inside(i, packs); i += std::int64_t{gridDim.x} * kThreads) {
    float v[N];
    if (aligned) {
      load_floats(x + i * N, v);
    } else {
      for (int j = 0; j < N; ++j) v[j] = widen(x[i * N + j]);
    }
    for (const float e : v) add(e);
  }
  if (inside(packs * N + me, count)) add(widen(x[packs * N + me]));
  sum = block_sum(sum, s.sum);
  if (threadIdx.x == 0) of_block[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    sum_of_blocks(int blocks, const double* of_block, double* y, bool accumulate) {
  begin_kernel();
  auto& s = shared<NormStorage>();
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); inside(i, blocks); i += kThreads) sum += of_block[i];
  sum = block_sum(sum, s.sum);
  if (threadIdx.x == 0) *y = accumulate ? *y + sum : sum;
}

__global__ void __launch_bounds__(1)
    clip_once(const double* squared_norm, std::int64_t parts, double max_norm, StepState* state) {
  begin_kernel();
  double squared = squared_norm[0];
  for (std::int64_t i = 1; inside(i, parts); ++i) squared += squared_norm[i];
  const double norm = sqrt(squared) * fabs(static_cast<double>(unscale_factor(*state)));
  if (!(norm <= std::numeric_limits<double>::max())) {
    state->found_inf = 1;
    return;
  }
  state->gradient_norm = static_cast<float>(norm);
  const double factor = max_norm / (norm + 1e-6);
  state->clip_factor = factor < 1 ? static_cast<float>(factor) : 1.0f;
}

__global__ void __launch_bounds__(1)
    agree_once(std::int64_t ranks, const std::int32_t* each, StepState* state) {
  begin_kernel();
  for (std::int64_t r = 0; inside(r, ranks); ++r) {
    if (each[2 * r] != 0) state->found_inf = 1;
    if (each[2 * r + 1] < state->first_bad) state->first_bad = each[2 * r + 1];
  }
}

}  // namespace

Plan plan(const CheckFinite&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const CheckFinite& op, const Plan&, void*, const Stream& stream) {
  with_dtype("check finite", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.x), stream, check_each<T>, static_cast<const T*>(op.x),
                Slices{op.slices, op.slice_count, op.first_parameter}, op.state);
  });
}

Plan plan(const SquaredNorm& op, const Device&) {
  return {.variant = "block_sums",
          .workspace_bytes = static_cast<std::size_t>(norm_blocks(op.count)) * sizeof(double)};
}

void run(const SquaredNorm& op, const Plan&, void* workspace, const Stream& stream) {
  const int blocks = norm_blocks(op.count);
  double* const of_block = static_cast<double*>(workspace);
  constexpr std::size_t kShared = sizeof(NormStorage);
  with_dtype("squared norm", op.dtype, [&]<class T>(Type<T>) {
    launch({.grid = static_cast<unsigned>(blocks),
            .block = kThreads,
            .shared_bytes = kShared,
            .stream = stream},
           squares_per_block<T>, op.count, is_packed_aligned(op.x), static_cast<const T*>(op.x),
           of_block);
  });
  launch({.grid = 1, .block = kThreads, .shared_bytes = kShared, .stream = stream}, sum_of_blocks,
         blocks, of_block, op.y, op.accumulate);
}

Plan plan(const ClipFactor&, const Device&) { return {.variant = "one_thread"}; }

void run(const ClipFactor& op, const Plan&, void*, const Stream& stream) {
  launch({.grid = 1, .block = 1, .stream = stream}, clip_once, op.squared_norm, op.parts,
         op.max_norm, op.state);
}

Plan plan(const AgreeOnFinite&, const Device&) { return {.variant = "one_thread"}; }

void run(const AgreeOnFinite& op, const Plan&, void*, const Stream& stream) {
  launch({.grid = 1, .block = 1, .stream = stream}, agree_once, op.ranks, op.each, op.state);
}

}  // namespace convoy::CONVOY_TARGET
