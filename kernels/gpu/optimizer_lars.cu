// SPDX-License-Identifier: MIT
// LARS needs two norms per parameter before it can step. Each slice is cut into at most kParts
// parts, a block to each: the first kernel sums a part's squares, the second makes a slice's ratio
// of them, the third steps. Where the slices lie is known to the device alone, so every slice gets
// kParts blocks, and those of short slices have nothing to do.
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
  const std::int64_t even = (slice.count + kParts - 1) / kParts;
  const std::int64_t part = even < kLeastPart ? kLeastPart : even;
  const std::int64_t begin = blockIdx.x % kParts * part, end = begin + part;
  return {slice.begin + begin, slice.begin + (end < slice.count ? end : slice.count)};
}

struct Storage {
  BlockScratch<double, kThreads> parameter, gradient;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    squares_per_part(const ParameterSlice* slices, const StepState* state, const T* parameter,
                     const T* gradient, Squares* of_part) {
  if (state->found_inf) return;
  auto& s = shared<Storage>();
  const Range mine = my_part(slices);
  Squares sum{0, 0};
  if (mine.begin >= mine.end) {  // nothing to do, and nothing to wait for
    if (threadIdx.x == 0) of_part[blockIdx.x] = sum;
    return;
  }
  for (std::int64_t i = mine.begin + threadIdx.x; inside(i, mine.end); i += kThreads) {
    const double p = widen(parameter[i]), g = widen(gradient[i]);
    sum.parameter += p * p;
    sum.gradient += g * g;
  }
  sum.parameter = block_sum(sum.parameter, s.parameter);
  sum.gradient = block_sum(sum.gradient, s.gradient);
  if (threadIdx.x == 0) of_part[blockIdx.x] = sum;
}

// One warp per slice.
__global__ void __launch_bounds__(kWarp)
    trust_ratio_per_slice(LarsOptions o, const StepState* state, const Squares* of_part,
                          float* ratio) {
  if (state->found_inf) return;
  const Squares* const mine = of_part + std::int64_t{blockIdx.x} * kParts + threadIdx.x;
  const double factor = fabs(static_cast<double>(step_values(*state, 0).gradient_factor));
  const double p = sqrt(warp_sum(mine[0].parameter + mine[kWarp].parameter));
  const double g = sqrt(warp_sum(mine[0].gradient + mine[kWarp].gradient)) * factor;
  const bool plain = o.weight_decay == 0 || p == 0 || g == 0;
  const double trust = o.trust_coefficient * p / (g + o.weight_decay * p + o.eps);
  if (threadIdx.x == 0) ratio[blockIdx.x] = plain ? 1.0f : static_cast<float>(trust);
}

struct LarsFactors {
  float momentum, decay;
  bool nesterov;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    lars_step(const ParameterSlice* slices, LarsFactors o, const StepState* state, int group,
              const float* ratio, T* parameter, HalfCopy half, const T* gradient, T* momentum) {
  if (state->found_inf) return;
  const StepValues step = step_values(*state, group);
  const float trust = ratio[blockIdx.x / kParts];
  const Range mine = my_part(slices);
  for (std::int64_t i = mine.begin + threadIdx.x; inside(i, mine.end); i += kThreads) {
    const float p = widen(parameter[i]);
    const float g = (widen(gradient[i]) * step.gradient_factor + o.decay * p) * trust;
    const float b = o.momentum * widen(momentum[i]) + g;
    momentum[i] = narrow<T>(b);
    const float next = p - step.learning_rate * (o.nesterov ? g + o.momentum * b : b);
    parameter[i] = narrow<T>(next);
    if (half.data == nullptr) continue;
    if (half.dtype == DType::f16) {
      static_cast<F16*>(half.data)[i] = narrow<F16>(next);
    } else {
      static_cast<BF16*>(half.data)[i] = narrow<BF16>(next);
    }
  }
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
    launch({.grid = slices * kParts,
            .block = kThreads,
            .shared_bytes = sizeof(Storage),
            .stream = stream},
           squares_per_part<T>, op.slices, op.state, p, g, of_part);
    launch({.grid = slices, .block = kWarp, .stream = stream}, trust_ratio_per_slice, op.options,
           op.state, of_part, ratio);
    launch({.grid = slices * kParts, .block = kThreads, .stream = stream}, lars_step<T>, op.slices,
           o, op.state, op.group, ratio, p, op.half, g, static_cast<T*>(op.momentum));
  });
}

}  // namespace convoy::CONVOY_TARGET
