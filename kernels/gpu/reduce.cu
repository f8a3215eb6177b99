// SPDX-License-Identifier: MIT
// A block takes `width` outputs side by side: thread t works on output t % width and on the terms
// t / width, t / width + kThreads / width, ... So neighbouring threads read neighbouring elements
// where the outputs lie side by side (width 32: sums over rows), and where the terms do (width 1:
// sums within a row). Where there are few outputs the terms are split over blocks; a second launch
// joins the splits.
#include "kernels/reduce.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/gpu/long_sum.cuh"
#include "kernels/gpu/strided.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kBlock = 256;
constexpr int kTermsPerThread = 16;  // fewer are not worth another thread

// Operand 0 is x, 1 the factor.
struct Problem {
  StridedLoop<2> kept, reduced;
  std::int64_t outputs, terms;
};

struct Cut {
  int threads, width;
  std::int64_t split_terms;
  unsigned splits;
};

// What a thread folds, what threads exchange, and what becomes of the result.
template <class T>
struct Sum {
  using State = LongSum;
  using Partial = double;
  const T *x, *factor;  // factor may be null
  Results<T> y;
  double scale;
  bool accumulate;

  __device__ static LongSum start() { return {}; }
  __device__ void take(LongSum& sum, std::int64_t x_at, std::int64_t factor_at,
                       std::int64_t) const {
    const float value = widen(x[x_at]);
    sum.add(factor == nullptr ? value : value * widen(factor[factor_at]));
  }
  __device__ static double result(const LongSum& sum) { return sum.value(); }
  __device__ static double join(double a, double b) { return a + b; }
  __device__ void put(std::int64_t k, double total) const {
    y.put(k, static_cast<float>(total * scale), accumulate);
  }
};

struct Best {
  float value;
  std::int64_t where;
};

template <class T>
struct Largest {
  using State = Best;
  using Partial = Best;
  const T* x;
  T* y;                 // may be null
  std::int64_t* index;  // may be null

  __device__ static Best start() { return {-INFINITY, std::numeric_limits<std::int64_t>::max()}; }
  __device__ void take(Best& best, std::int64_t x_at, std::int64_t, std::int64_t term) const {
    best = join(best, {widen(x[x_at]), term});
  }
  __device__ static Best result(const Best& best) { return best; }
  // A NaN is larger than everything, and of equal ones the first counts.
  __device__ static Best join(const Best& a, const Best& b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool same = a.value == b.value || (a_nan && b_nan);
    const bool take_b = same ? b.where < a.where : b_nan || b.value > a.value;
    return take_b ? b : a;
  }
  __device__ void put(std::int64_t k, const Best& best) const {
    if (y != nullptr) y[k] = narrow<T>(best.value);
    if (index != nullptr) index[k] = best.where;
  }
};

__device__ __forceinline__ double from_lane_xor(double value, int lanes) {
  return __shfl_xor_sync(~0u, value, lanes);
}
__device__ __forceinline__ Best from_lane_xor(const Best& best, int lanes) {
  return {__shfl_xor_sync(~0u, best.value, lanes), __shfl_xor_sync(~0u, best.where, lanes)};
}

template <class Partial, int kThreads>
struct Storage {
  Partial of_warp[kThreads / kWarp][kWarp];  // [warp][output]
};

// The fold over the block's threads of each output; valid in the first `width` threads.
template <int kThreads, class Op>
__device__ typename Op::Partial fold_block(const Op&, typename Op::Partial mine, int width) {
  for (int by = kWarp / 2; by >= width; by /= 2) mine = Op::join(mine, from_lane_xor(mine, by));
  if constexpr (kThreads > kWarp) {
    auto& s = shared<Storage<typename Op::Partial, kThreads>>();
    if (lane_index() < width) s.of_warp[warp_index()][lane_index()] = mine;
    __syncthreads();
    if (warp_index() != 0 || lane_index() >= width) return mine;
    mine = s.of_warp[0][lane_index()];
    for (int w = 1; w < kThreads / kWarp; ++w) mine = Op::join(mine, s.of_warp[w][lane_index()]);
  }
  return mine;
}

// The output of this thread, and f(where in x, where in the factor, term) for its terms.
__device__ __forceinline__ std::int64_t my_output(const Cut& cut) {
  return std::int64_t{blockIdx.x} * cut.width + static_cast<int>(threadIdx.x) % cut.width;
}
template <int kThreads, class F>
__device__ __forceinline__ void for_my_terms(const Problem& p, const Cut& cut, std::int64_t k,
                                             F&& f) {
  const std::int64_t first = std::int64_t{blockIdx.y} * cut.split_terms;
  const std::int64_t end = min(first + cut.split_terms, p.terms);
  const Offsets<2> base = offsets_of(p.kept, k);
  const int thread = static_cast<int>(threadIdx.x), step = kThreads / cut.width;
  for (std::int64_t i = first + thread / cut.width; inside(i, end); i += step) {
    const Offsets<2> at = offsets_of(p.reduced, i);
    f(base.of[0] + at.of[0], base.of[1] + at.of[1], i);
  }
}

template <int kThreads, class Op>
__global__ void __launch_bounds__(kThreads)
    reduce_outputs_side_by_side(Op op, Problem p, Cut cut, typename Op::Partial* partial) {
  const std::int64_t k = my_output(cut);
  const bool works = inside(k, p.outputs);
  typename Op::State state = Op::start();
  if (works) {
    for_my_terms<kThreads>(p, cut, k,
                           [&](std::int64_t x_at, std::int64_t factor_at, std::int64_t term) {
                             op.take(state, x_at, factor_at, term);
                           });
  }
  const typename Op::Partial total = fold_block<kThreads>(op, Op::result(state), cut.width);
  if (!works || static_cast<int>(threadIdx.x) >= cut.width) return;
  if (partial == nullptr) {
    op.put(k, total);
  } else {
    partial[blockIdx.y * p.outputs + k] = total;
  }
}

template <class Op>
__global__ void __launch_bounds__(kBlock)
    join_splits(Op op, const typename Op::Partial* partial, std::int64_t outputs, unsigned splits) {
  const std::int64_t k = std::int64_t{blockIdx.x} * kBlock + threadIdx.x;
  if (!inside(k, outputs)) return;
  typename Op::Partial total = partial[k];
  for (unsigned s = 1; s < splits; ++s) total = Op::join(total, partial[s * outputs + k]);
  op.put(k, total);
}

// The same walk, the other way.
template <int kThreads, class T>
__global__ void __launch_bounds__(kThreads)
    give_to_the_chosen(Problem p, Cut cut, const T* dy, const std::int64_t* index, T* dx,
                       bool accumulate) {
  const std::int64_t k = my_output(cut);
  if (!inside(k, p.outputs)) return;
  const std::int64_t chosen = index[k];
  const float g = widen(dy[k]);
  for_my_terms<kThreads>(p, cut, k, [&](std::int64_t at, std::int64_t, std::int64_t term) {
    if (!accumulate) {
      dx[at] = narrow<T>(term == chosen ? g : 0.0f);
    } else if (term == chosen) {
      dx[at] = narrow<T>(widen(dx[at]) + g);
    }
  });
}

Problem problem_of(const Shape& shape, std::uint32_t axes, const Strides& x,
                   const Strides& factor) {
  const Shape kept = kept_extents(shape, axes), reduced = reduced_extents(shape, axes);
  return {merge_dims<2>(kept, {kept_extents(x, axes), kept_extents(factor, axes)}),
          merge_dims<2>(reduced, {reduced_extents(x, axes), reduced_extents(factor, axes)}),
          kept.count(), reduced.count()};
}
Problem problem_of(const ReduceSum& op) {
  return problem_of(op.shape, op.axes, op.x_strides, op.factor ? op.factor_strides : op.x_strides);
}
Problem problem_of(const ReduceMax& op) {
  return problem_of(op.shape, op.axes, op.x_strides, op.x_strides);
}

Cut cut_of(const Problem& p, const Device& device) {
  const bool terms_side_by_side = p.reduced.stride[0][0] == 1 && p.reduced.extent[0] > 1;
  const bool outputs_side_by_side = p.kept.stride[0][0] == 1 && !terms_side_by_side;
  Cut cut{.threads = kBlock, .width = 1, .split_terms = p.terms, .splits = 1};
  if (outputs_side_by_side || p.terms <= kTermsPerThread) {
    const std::int64_t outputs = std::max(p.outputs, std::int64_t{1});
    cut.width = static_cast<int>(
        std::bit_ceil(static_cast<unsigned>(std::min(outputs, std::int64_t{kWarp}))));
  }
  if (p.terms * cut.width <= kTermsPerThread * kWarp) {
    cut.threads = kWarp;
    return cut;
  }
  const std::int64_t blocks = blocks_for(p.outputs, cut.width);
  const std::int64_t wanted = 4 * multiprocessor_count(device) / std::max(blocks, std::int64_t{1});
  const std::int64_t worth = p.terms * cut.width / (kTermsPerThread * kBlock);
  const std::int64_t splits =
      std::max(std::min(min(wanted, worth), std::int64_t{256}), std::int64_t{1});
  cut.split_terms = (p.terms + splits - 1) / splits;
  cut.splits = blocks_for(p.terms, cut.split_terms);
  return cut;
}

template <class Partial>
Plan plan_reduction(const Problem& p, const Device& device) {
  const Cut cut = cut_of(p, device);
  if (cut.splits == 1) return {.variant = "block"};
  return {.variant = "splits",
          .workspace_bytes = cut.splits * static_cast<std::size_t>(p.outputs) * sizeof(Partial)};
}

template <class Op>
void run_reduction(const Op& op, const Problem& p, void* workspace, const Stream& stream) {
  const Cut cut = cut_of(p, stream.device);
  const dim3 grid(blocks_for(p.outputs, cut.width), cut.splits);
  auto* const partial = cut.splits == 1 ? nullptr : static_cast<typename Op::Partial*>(workspace);
  if (cut.threads == kWarp) {
    launch({.grid = grid, .block = kWarp, .stream = stream}, reduce_outputs_side_by_side<kWarp, Op>,
           op, p, cut, partial);
  } else {
    launch({.grid = grid,
            .block = kBlock,
            .shared_bytes = sizeof(Storage<typename Op::Partial, kBlock>),
            .stream = stream},
           reduce_outputs_side_by_side<kBlock, Op>, op, p, cut, partial);
  }
  if (partial == nullptr) return;
  launch({.grid = blocks_for(p.outputs, kBlock), .block = kBlock, .stream = stream},
         join_splits<Op>, op, partial, p.outputs, cut.splits);
}

}  // namespace

Plan plan(const ReduceSum& op, const Device& device) {
  return plan_reduction<double>(problem_of(op), device);
}

void run(const ReduceSum& op, const Plan&, void* workspace, const Stream& stream) {
  with_dtype("sum", op.dtype, [&]<class T>(Type<T>) {
    const bool in_f32 = result_dtype("sum", "out_dtype", op.dtype, op.out_dtype) == DType::f32;
    const Sum<T> sum{static_cast<const T*>(op.x), static_cast<const T*>(op.factor),
                     Results<T>{op.y, in_f32}, op.scale, op.accumulate};
    run_reduction(sum, problem_of(op), workspace, stream);
  });
}

Plan plan(const ReduceMax& op, const Device& device) {
  return plan_reduction<Best>(problem_of(op), device);
}

void run(const ReduceMax& op, const Plan&, void* workspace, const Stream& stream) {
  require_choice(op);
  with_dtype("max", op.dtype, [&]<class T>(Type<T>) {
    const Largest<T> largest{static_cast<const T*>(op.x), static_cast<T*>(op.y), op.index};
    run_reduction(largest, problem_of(op), workspace, stream);
  });
}

Plan plan(const ReduceMaxBackward&, const Device&) { return {.variant = "walk"}; }

void run(const ReduceMaxBackward& op, const Plan&, void*, const Stream& stream) {
  const Strides dense = contiguous_strides(op.shape);
  const Problem p = problem_of(op.shape, op.axes, dense, dense);
  const Cut cut = cut_of(p, stream.device);
  const dim3 grid(blocks_for(p.outputs, cut.width), cut.splits);
  with_dtype("max", op.dtype, [&]<class T>(Type<T>) {
    launch({.grid = grid, .block = static_cast<unsigned>(cut.threads), .stream = stream},
           cut.threads == kWarp ? give_to_the_chosen<kWarp, T> : give_to_the_chosen<kBlock, T>, p,
           cut, static_cast<const T*>(op.dy), op.index, static_cast<T*>(op.dx), op.accumulate);
  });
}

}  // namespace convoy::CONVOY_TARGET
