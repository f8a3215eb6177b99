// SPDX-License-Identifier: MIT
// A team of threads per row: the maximum, the sum of exponentials, the result; three passes over a
// row that is in the cache after the first.
#include "kernels/softmax.h"

#include "kernels/gpu/long_sum.cuh"
#include "kernels/gpu/row_team.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class Team>
struct Storage {
  typename Team::template Scratch<float> largest;
  typename Team::template Scratch<double> sum;
};

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    softmax_row(std::int64_t rows, std::int64_t classes, const T* x, T* y, bool log) {
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? classes : 0;
  const T* const from = x + row * classes;
  T* const to = y + row * classes;
  float mine = -INFINITY;
  for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) {
    mine = fmaxf(mine, widen(from[k]));
  }
  const float largest = Team::fold(mine, s.largest, Maximum{});
  LongSum exps;  // a NaN that the maximum passed over shows here
  for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) {
    exps.add(expf(widen(from[k]) - largest));
  }
  const auto sum = static_cast<float>(Team::fold(exps.value(), s.sum, Add{}));
  const float log_sum = logf(sum), scale = 1.0f / sum;
  for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) {
    const float above = widen(from[k]) - largest;
    to[k] = narrow<T>(log ? above - log_sum : expf(above) * scale);
  }
}

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    softmax_row_gradient(std::int64_t rows, std::int64_t classes, const T* y, const T* dy, T* dx,
                         bool log, bool accumulate) {
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? classes : 0;
  const std::int64_t first = row * classes;
  LongSum mine;
  for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) {
    const float g = widen(dy[first + k]);
    mine.add(log ? g : g * widen(y[first + k]));
  }
  const auto total = static_cast<float>(Team::fold(mine.value(), s.sum, Add{}));
  for (std::int64_t k = Team::rank(); inside(k, length); k += Team::kSize) {
    const float g = widen(dy[first + k]), p = widen(y[first + k]);
    const float value = log ? g - expf(p) * total : p * (g - total);
    T& to = dx[first + k];
    to = narrow<T>(accumulate ? widen(to) + value : value);
  }
}

}  // namespace

Plan plan(const SoftmaxForward&, const Device&) { return {.variant = "row_team"}; }
Plan plan(const SoftmaxBackward&, const Device&) { return {.variant = "row_team"}; }

void run(const SoftmaxForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("softmax", op.dtype, [&]<class T>(Type<T>) {
    with_team(op.classes, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             softmax_row<T, Team>, op.rows, op.classes, static_cast<const T*>(op.x),
             static_cast<T*>(op.y), op.log);
    });
  });
}

void run(const SoftmaxBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("softmax", op.dtype, [&]<class T>(Type<T>) {
    with_team(op.classes, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             softmax_row_gradient<T, Team>, op.rows, op.classes, static_cast<const T*>(op.y),
             static_cast<const T*>(op.dy), static_cast<T*>(op.dx), op.log, op.accumulate);
    });
  });
}

}  // namespace convoy::CONVOY_TARGET
