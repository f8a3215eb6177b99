// SPDX-License-Identifier: MIT
// LARS needs two norms per parameter before it can step. Each slice is cut into at most kParts
// parts, a block to each: the first kernel sums a part's squares, the second makes a slice's ratio
// of them, the third steps. Where the slices lie is known to the device alone, so every slice gets
// kParts blocks, and those of short slices have nothing to do. Where ranks have taken the norms,
// the first kernel has nothing to do.
#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/step_values.cuh"
#include "kernels/gpu/warp.cuh"
#include "kernels/optimizer.h"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kThreads = 256, kParts = 2 * kWarp;
constexpr std::int64_t kLeastPart = 1024;  // elements

struct Squares {
  double parameter, gradient;
};

struct Range {
  std::int64_t begin, end;
};

// The elements of this block.
__device__ __forceinline__ Range my_part(const ParameterSlice* slices) {
  const ParameterSlice slice = slices[blockIdx.x / kParts];
  // In eights, so that a part begins at a pack where its slice does.
  const std::int64_t even = (slice.count + 8 * kParts - 1) / (8 * kParts) * 8;
  const std::int64_t part = even < kLeastPart ? kLeastPart : even;
  const std::int64_t begin = blockIdx.x % kParts * part, end = begin + part;
  return {slice.begin + begin, slice.begin + (end < slice.count ? end : slice.count)};
}

// f(Width<N>, first) for this thread's elements of the range: packs where both ends are multiples
// of one and the arrays are aligned, else single ones.
template <class T, class F>
__device__ __forceinline__ void for_my_elements(const Range& mine, bool aligned, F f) {
  constexpr int N = Packed<T>::kCount;
  if (aligned && mine.begin % N == 0 && mine.end % N == 0) {
    const std::int64_t end = mine.end / N;
    for (std::int64_t i = mine.begin / N + threadIdx.x; inside(i, end); i += kThreads) {
      f(Width<N>{}, i * N);
    }
  } else {
    for (std::int64_t i = mine.begin + threadIdx.x; inside(i, mine.end); i += kThreads) {
      f(Width<1>{}, i);
    }
  }
}

struct Storage {
  BlockScratch<double, kThreads> parameter, gradient;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    squares_per_part(const ParameterSlice* slices, const StepState* state, bool aligned,
                     const T* parameter, const T* gradient, Squares* of_part) {
  begin_kernel();
  if (state->found_inf) return;
  auto& s = shared<Storage>();
  const Range mine = my_part(slices);
  Squares sum{0, 0};
  if (mine.begin >= mine.end) {  // nothing to do, and nothing to wait for
    if (threadIdx.x == 0) of_part[blockIdx.x] = sum;
    return;
  }
  for_my_elements<T>(mine, aligned, [&]<int N>(Width<N>, std::int64_t first) {
    float p[N], g[N];
    load_floats(parameter + first, p);
    load_floats(gradient + first, g);
    for (int j = 0; j < N; ++j) {
      sum.parameter += static_cast<double>(p[j]) * static_cast<double>(p[j]);
      sum.gradient += static_cast<double>(g[j]) * static_cast<double>(g[j]);
    }
  });
  sum.parameter = block_sum(sum.parameter, s.parameter);
  sum.gradient = block_sum(sum.gradient, s.gradient);
  if (threadIdx.x == 0) of_part[blockIdx.x] = sum;
}

__device__ __forceinline__ float trust_ratio(const LarsOptions& o, const StepState& state,
                                             const Squares& squares) {
  const double p = sqrt(squares.parameter);
  const double g =
      sqrt(squares.gradient) * fabs(static_cast<double>(step_values(state, 0).gradient_factor));
  const bool plain = o.weight_decay == 0 || p == 0 || g == 0;
  const double trust = o.trust_coefficient * p / (g + o.weight_decay * p + o.eps);
  return plain ? 1.0f : static_cast<float>(trust);
}

// One warp per slice.
__global__ void __launch_bounds__(kWarp)
    trust_ratio_per_slice(LarsOptions o, const StepState* state, const Squares* of_part,
                          float* ratio) {
  begin_kernel();
  if (state->found_inf) return;
  const Squares* const mine = of_part + std::int64_t{blockIdx.x} * kParts + threadIdx.x;
  const Squares sum{warp_sum(mine[0].parameter + mine[kWarp].parameter),
                    warp_sum(mine[0].gradient + mine[kWarp].gradient)};
  if (threadIdx.x == 0) ratio[blockIdx.x] = trust_ratio(o, *state, sum);
}

// The same where ranks have summed. One thread per slice.
__global__ void __launch_bounds__(1) trust_ratio_over_ranks(LarsOptions o, const StepState* state,
                                                            SquaresOfRanks squares, float* ratio) {
  begin_kernel();
  if (state->found_inf) return;
  Squares sum{0, 0};
  for (std::int64_t r = 0; inside(r, squares.ranks); ++r) {
    const double* const of_rank = squares.data + r * squares.stride + 2 * std::int64_t{blockIdx.x};
    sum.parameter += of_rank[0];
    sum.gradient += of_rank[1];
  }
  ratio[blockIdx.x] = trust_ratio(o, *state, sum);
}

struct LarsFactors {
  float momentum, decay;
  bool nesterov;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    lars_step(const ParameterSlice* slices, LarsFactors o, const StepState* state, int group,
              const float* ratio, bool aligned, T* parameter, HalfCopy half, const T* gradient,
              T* momentum) {
  begin_kernel();
  if (state->found_inf) return;
  const StepValues step = step_values(*state, group);
  const float trust = ratio[blockIdx.x / kParts];
  const Range mine = my_part(slices);
  for_my_elements<T>(mine, aligned, [&]<int N>(Width<N>, std::int64_t first) {
    float p[N], g[N], b[N];
    load_floats(parameter + first, p);
    load_floats(gradient + first, g);
    load_floats(momentum + first, b);
    for (int j = 0; j < N; ++j) {
      g[j] = decayed(g[j], step, o.decay, p[j]) * trust;
      b[j] = fmaf(o.momentum, b[j], g[j]);
      p[j] -= step.learning_rate * (o.nesterov ? fmaf(o.momentum, b[j], g[j]) : b[j]);
    }
    store_floats(momentum + first, b);
    store_floats(parameter + first, p);
    store_half<T>(half, first, p);
  });
}

}  // namespace

Plan plan(const LarsStep& op, const Device&) {
  const auto slices = static_cast<std::size_t>(op.slice_count);
  return {.variant = "blocks_per_slice",
          .workspace_bytes = slices * (kParts * sizeof(Squares) + sizeof(float))};
}

void run(const LarsStep& op, const Plan&, void* workspace, const Stream& stream) {
  const auto slices = static_cast<unsigned>(op.slice_count);
  Squares* const of_part = static_cast<Squares*>(workspace);
  float* const ratio = reinterpret_cast<float*>(of_part + std::size_t{slices} * kParts);
  const LarsFactors o{static_cast<float>(op.options.momentum),
                      static_cast<float>(op.options.weight_decay), op.options.nesterov};
  require_half_copy("lars", op.dtype, op.half);
  with_dtype("lars", op.dtype, [&]<class T>(Type<T>) {
    T* const p = static_cast<T*>(op.parameter);
    const T* const g = static_cast<const T*>(op.gradient);
    const bool aligned = is_packed_aligned(p) && is_packed_aligned(g) &&
                         is_packed_aligned(op.momentum) && is_packed_aligned(op.half.data);
    if (op.squares.data != nullptr) {
      launch({.grid = slices, .block = 1, .stream = stream}, trust_ratio_over_ranks, op.options,
             op.state, op.squares, ratio);
    } else {
      launch({.grid = slices * kParts,
              .block = kThreads,
              .shared_bytes = sizeof(Storage),
              .stream = stream},
             squares_per_part<T>, op.slices, op.state, aligned, p, g, of_part);
      launch({.grid = slices, .block = kWarp, .stream = stream}, trust_ratio_per_slice, op.options,
             op.state, of_part, ratio);
    }
    launch({.grid = slices * kParts, .block = kThreads, .stream = stream}, lars_step<T>, op.slices,
           o, op.state, op.group, ratio, aligned, p, op.half, g, static_cast<T*>(op.momentum));
  });
}

}  // namespace convoy::CONVOY_TARGET
