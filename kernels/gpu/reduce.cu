// SPDX-License-Identifier: MIT
// A block takes `width` outputs side by side: thread t works on output t % width and on the terms
// t / width, t / width + kThreads / width, ... So neighbouring threads read neighbouring elements
// where the outputs lie side by side (width 32: sums over rows), and where the terms do (width 1:
// sums within a row). Where they come in whole packs of 16 bytes a thread takes a pack of outputs,
// or of terms, for each one. Where there are few outputs the terms are split over blocks; a second
// launch joins the splits.
#include "kernels/reduce.h"

#include <algorithm>
#include <bit>

#include "kernels/gpu/join_tiles.cuh"
#include "kernels/gpu/reduce_folds.cuh"
#include "kernels/gpu/strided.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kBlock = 256;
constexpr int kTermsPerThread = 16;  // fewer are not worth another thread
constexpr int kBlocksAtOnce = 2;     // that a multiprocessor has room for

// Operand 0 is x, 1 the factor.
struct Problem {
  StridedLoop<2> kept, reduced;
  std::int64_t outputs, terms;
};

// Elements that a thread takes at once: outputs side by side, or terms; one of the two is 1.
template <int outputs, int terms>
struct Pack {
  static constexpr int kOutputs = outputs, kTerms = terms, kCount = outputs * terms;
};

struct Cut {
  int threads, width;  // threads side by side along the outputs
  std::int64_t split_terms;
  unsigned splits;
};

// The outputs of this thread, and take(ask(where in x and in the factor), term) for its terms.
__device__ __forceinline__ std::int64_t my_outputs(const Cut& cut) {
  return std::int64_t{blockIdx.x} * cut.width + static_cast<int>(threadIdx.x) % cut.width;
}
// Where the terms are evenly spaced, kAtOnce of them are asked for before the first is taken.
template <int kThreads, int kAtOnce, class P, class Ask, class Take>
__device__ __forceinline__ void for_my_terms(const Problem& p, const Cut& cut, std::int64_t k,
                                             Ask ask, Take take) {
  const std::int64_t first = std::int64_t{blockIdx.y} * cut.split_terms;
  const std::int64_t end = min(first + cut.split_terms, p.terms) / P::kTerms;
  const Offsets<2> base = offsets_of(p.kept, k);
  const int thread = static_cast<int>(threadIdx.x), step = kThreads / cut.width;
  const auto at = [&](const Offsets<2>& term) {
    return Offsets<2>{base.of[0] + term.of[0], base.of[1] + term.of[1]};
  };
  std::int64_t i = first / P::kTerms + thread / cut.width;
  while (kAtOnce > 1 && p.reduced.rank == 1 && i + (kAtOnce - 1) * step < end) {
    decltype(ask(base)) asked[kAtOnce];
    CONVOY_UNROLL
    for (int n = 0; n < kAtOnce; ++n) {
      const std::int64_t term = (i + n * step) * P::kTerms;
      asked[n] = ask(at({term * p.reduced.stride[0][0], term * p.reduced.stride[1][0]}));
    }
    CONVOY_UNROLL
    for (int n = 0; n < kAtOnce; ++n) take(asked[n], (i + n * step) * P::kTerms);
    i += kAtOnce * step;
  }
  for (; inside(i, end); i += step) {
    const std::int64_t term = i * P::kTerms;
    take(ask(at(offsets_of(p.reduced, term))), term);
  }
}

template <int kThreads, class P, class Op>
__global__ void __launch_bounds__(kThreads, kThreads == kBlock ? kBlocksAtOnce : 1)
    reduce_outputs_side_by_side(Op op, Problem p, Cut cut, typename Op::Partial* partial) {
  begin_kernel();
  constexpr int N = P::kOutputs;
  const std::int64_t mine = my_outputs(cut), k = mine * N;
  const bool works = inside(mine, p.outputs / N);
  typename Op::State state[N];
  for (auto& s : state) s = Op::start();
  if (works) {
    for_my_terms<kThreads, 4, P>(
        p, cut, k, [&](const Offsets<2>& at) { return op.template ask<P::kCount>(at); },
        [&](const auto& asked, std::int64_t term) {
          float v[P::kCount];
          op.take_asked(asked, v);
          for (int j = 0; j < P::kCount; ++j) {
            Op::take(state[N > 1 ? j : 0], v[j], N > 1 ? term : term + j);
          }
        });
  }
  typename Op::Partial total[N];
  for (int j = 0; j < N; ++j) total[j] = Op::result(state[j]);
  fold_block<kThreads>(op, total, cut.width);
  if (!works || static_cast<int>(threadIdx.x) >= cut.width) return;
  for (int j = 0; j < N; ++j) {
    if (partial == nullptr) {
      op.put(k + j, total[j]);
    } else {
      partial[blockIdx.y * p.outputs + k + j] = total[j];
    }
  }
}

template <class Op>
struct SplitTotal {
  typename Op::Partial value = Op::result(Op::start());

  __device__ __forceinline__ void join(const SplitTotal& other) {
    value = Op::join(value, other.value);
  }
};

template <class Op>
__global__ void __launch_bounds__(kJoinWarps* kWarp)
    join_splits(Op op, const typename Op::Partial* partial, std::int64_t outputs, unsigned splits) {
  begin_kernel();
  const std::int64_t k = channel_to_join();
  const bool works = inside(k, outputs);
  const auto total = join_tiles<SplitTotal<Op>>(splits, works, [&](std::int64_t split) {
    return SplitTotal<Op>{partial[split * outputs + k]};
  });
  if (works && warp_index() == 0) op.put(k, total.value);
}

// The same walk, the other way.
template <int kThreads, class P, class T>
__global__ void __launch_bounds__(kThreads)
    give_to_the_chosen(Problem p, Cut cut, const T* dy, const std::int64_t* index, T* dx,
                       bool accumulate) {
  begin_kernel();
  constexpr int N = P::kOutputs;
  const std::int64_t mine = my_outputs(cut), k = mine * N;
  if (!inside(mine, p.outputs / N)) return;
  std::int64_t chosen[N];
  float g[N];
  for (int j = 0; j < N; ++j) chosen[j] = index[k + j], g[j] = widen(dy[k + j]);
  for_my_terms<kThreads, 1, P>(
      p, cut, k, [&](const Offsets<2>& at) { return at.of[0]; },
      [&](std::int64_t at, std::int64_t term) {
        float v[P::kCount] = {};
        if (accumulate) load_floats(dx + at, v);
        for (int j = 0; j < P::kCount; ++j) {
          const bool gets = N > 1 ? term == chosen[j] : term + j == chosen[0];
          if (gets) v[j] += g[N > 1 ? j : 0];
        }
        store_floats(dx + at, v);
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

// Of a block whose outputs come in packs of `pack`, as they mostly do; others have more blocks.
std::int64_t outputs_of_block(const Problem& p, int width, std::int64_t pack) {
  if (width == 1 || p.outputs % pack != 0) return width;
  return std::min(p.outputs / pack, std::int64_t{kWarp}) * pack;
}

// All splits are there at once: another round of a few blocks would take as long as the first.
Cut cut_of(const Problem& p, DType dtype, const Device& device) {
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
  const std::int64_t pack = 16 / static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t blocks = blocks_for(p.outputs, outputs_of_block(p, cut.width, pack));
  const std::int64_t wanted =
      kBlocksAtOnce * multiprocessor_count(device) / std::max(blocks, std::int64_t{1});
  const std::int64_t worth = p.terms * cut.width / (kTermsPerThread * kBlock);
  const std::int64_t splits =
      std::max(std::min(min(wanted, worth), std::int64_t{512}), std::int64_t{1});
  cut.split_terms = (p.terms + splits - 1) / splits;
  cut.splits = blocks_for(p.terms, cut.split_terms);
  return cut;
}

bool steps_in_packs(const StridedLoop<2>& loop, std::int64_t pack) {
  for (int d = 0; d < loop.rank; ++d) {
    if (loop.extent[d] == 1) continue;
    if (loop.stride[0][d] % pack != 0 || loop.stride[1][d] % pack != 0) return false;
  }
  return true;
}

// Calls f(Pack, cut) with the packs that the problem has.
template <class T, class F>
void with_pack(const Problem& p, Cut cut, const void* x, const void* factor, F&& f) {
  constexpr int N = Packed<T>::kCount;
  const auto has_runs = [&](const StridedLoop<2>& loop) {
    return loop.stride[0][0] == 1 && loop.stride[1][0] == 1 && has_packs(loop, N, x, factor);
  };
  if (cut.width == 1 && has_runs(p.reduced) && steps_in_packs(p.kept, N)) {
    cut.split_terms = (cut.split_terms + N - 1) / N * N;
    cut.splits = blocks_for(p.terms, cut.split_terms);
    return f(Pack<1, N>{}, cut);
  }
  if (cut.width > 1 && has_runs(p.kept) && steps_in_packs(p.reduced, N)) {
    const auto packs = static_cast<unsigned>(std::min(p.outputs / N, std::int64_t{kWarp}));
    cut.width = static_cast<int>(std::bit_ceil(packs));
    return f(Pack<N, 1>{}, cut);
  }
  f(Pack<1, 1>{}, cut);
}

// Of the partial results there are never more than the plan says: packs make no more splits.
template <class Partial>
Plan plan_reduction(const Problem& p, DType dtype, const Device& device) {
  const Cut cut = cut_of(p, dtype, device);
  if (cut.splits == 1) return {.variant = "block"};
  return {.variant = "splits",
          .workspace_bytes = cut.splits * static_cast<std::size_t>(p.outputs) * sizeof(Partial)};
}

template <class T, class Op>
void run_reduction(const Op& op, const Problem& p, DType dtype, const void* x, const void* factor,
                   void* workspace, const Stream& stream) {
  const Cut planned = cut_of(p, dtype, stream.device);
  const bool one_split = planned.splits == 1;
  with_pack<T>(p, planned, x, factor, [&]<class P>(P, const Cut& cut) {
    const dim3 grid(blocks_for(p.outputs / P::kOutputs, cut.width), cut.splits);
    auto* const partial = one_split ? nullptr : static_cast<typename Op::Partial*>(workspace);
    if (cut.threads == kWarp) {
      launch({.grid = grid, .block = kWarp, .stream = stream},
             reduce_outputs_side_by_side<kWarp, P, Op>, op, p, cut, partial);
    } else {
      launch({.grid = grid,
              .block = kBlock,
              .shared_bytes = sizeof(FoldStorage<typename Op::Partial, kBlock, P::kOutputs>),
              .stream = stream},
             reduce_outputs_side_by_side<kBlock, P, Op>, op, p, cut, partial);
    }
    if (partial == nullptr) return;
    launch_join<SplitTotal<Op>>(p.outputs, stream, join_splits<Op>, op, partial, p.outputs,
                                cut.splits);
  });
}

}  // namespace

Plan plan(const ReduceSum& op, const Device& device) {
  return plan_reduction<double>(problem_of(op), op.dtype, device);
}

void run(const ReduceSum& op, const Plan&, void* workspace, const Stream& stream) {
  with_dtype("sum", op.dtype, [&]<class T>(Type<T>) {
    const bool in_f32 = result_dtype("sum", "out_dtype", op.dtype, op.out_dtype) == DType::f32;
    const SumFold<T> sum{static_cast<const T*>(op.x), static_cast<const T*>(op.factor),
                         Results<T>{op.y, in_f32}, op.scale, op.accumulate};
    run_reduction<T>(sum, problem_of(op), op.dtype, op.x, op.factor, workspace, stream);
  });
}

Plan plan(const ReduceMax& op, const Device& device) {
  return plan_reduction<Best>(problem_of(op), op.dtype, device);
}

void run(const ReduceMax& op, const Plan&, void* workspace, const Stream& stream) {
  require_choice(op);
  with_dtype("max", op.dtype, [&]<class T>(Type<T>) {
    const LargestFold<T> largest{static_cast<const T*>(op.x), static_cast<T*>(op.y), op.index};
    run_reduction<T>(largest, problem_of(op), op.dtype, op.x, nullptr, workspace, stream);
  });
}

Plan plan(const ReduceMaxBackward&, const Device&) { return {.variant = "walk"}; }

void run(const ReduceMaxBackward& op, const Plan&, void*, const Stream& stream) {
  const Strides dense = contiguous_strides(op.shape);
  const Problem p = problem_of(op.shape, op.axes, dense, dense);
  with_dtype("max", op.dtype, [&]<class T>(Type<T>) {
    const auto go = [&]<class P>(P, const Cut& cut) {
      launch(
          {.grid = dim3(blocks_for(p.outputs / P::kOutputs, cut.width), cut.splits),
           .block = static_cast<unsigned>(cut.threads),
           .stream = stream},
          cut.threads == kWarp ? give_to_the_chosen<kWarp, P, T> : give_to_the_chosen<kBlock, P, T>,
          p, cut, static_cast<const T*>(op.dy), op.index, static_cast<T*>(op.dx), op.accumulate);
    };
    with_pack<T>(p, cut_of(p, op.dtype, stream.device), op.dx, nullptr, go);
  });
}

}  // namespace convoy::CONVOY_TARGET
