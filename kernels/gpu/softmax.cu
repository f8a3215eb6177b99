// SPDX-License-Identifier: MIT
// A team of threads per row: the maximum, the sum of exponentials, the result; three passes over
// values that are read once.
#include "kernels/softmax.h"

#include "kernels/gpu/row_values.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class Team>
struct Storage {
  typename Team::template Scratch<float> largest;
  typename Team::template Scratch<double> sum;
};

// So many blocks at once leave a thread 80 registers: where rows are read again ptxas, left to
// itself, aims at 32, and spills.
template <class Team>
inline constexpr int kBlocks = 768 / Team::kThreads;

template <class T, class Team, bool kLog>
__global__ void __launch_bounds__(Team::kThreads, kBlocks<Team>)
    softmax_row(std::int64_t rows, std::int64_t classes, bool packed, const T* x, T* y) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? classes : 0;
  const Row<const T> from{x + row * classes, length, packed};
  const Row<T> to{y + row * classes, length, packed};
  auto values = row_values<Team>(from);
  float mine = -INFINITY;
  values.each([&](std::int64_t, float v) { mine = fmaxf(mine, v); });
  const float largest = Team::fold(mine, s.largest, Maximum{});
  // A NaN that the maximum passed over shows here.
  const LongSum exps = values.sum([&](float& v) {
    const float e = expf(v - largest);
    if (Team::kHolds && !kLog) v = e;
    return e;
  });
  const auto sum = static_cast<float>(Team::fold(exps.value(), s.sum, Add{}));
  const float log_sum = logf(sum), scale = 1.0f / sum;
  values.packs([&](std::int64_t k, float(&v)[N]) {
    for (float& e : v) {
      if (!Team::kHolds && !kLog) e = expf(e - largest);
      e = kLog ? e - largest - log_sum : e * scale;
    }
    store_row(to, k, v);
  });
}

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    softmax_row_gradient(std::int64_t rows, std::int64_t classes, bool packed, const T* y,
                         const T* dy, T* dx, bool log, bool accumulate) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? classes : 0;
  const std::int64_t first = row * classes;
  const Row<const T> outputs{y + first, length, packed}, given{dy + first, length, packed};
  const Row<T> to{dx + first, length, packed};
  auto values = row_values<Team>(outputs, given);
  const LongSum mine = values.sum([&](float p, float g) { return log ? g : g * p; });
  const auto total = static_cast<float>(Team::fold(mine.value(), s.sum, Add{}));
  values.packs([&](std::int64_t k, float(&p)[N], float(&g)[N]) {
    for (int j = 0; j < N; ++j) {
      g[j] = log ? g[j] - expf(p[j]) * total : p[j] * (g[j] - total);
    }
    put_row(to, k, g, accumulate);
  });
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
             op.log ? softmax_row<T, Team, true> : softmax_row<T, Team, false>, op.rows, op.classes,
             has_packed_rows<T>(op.classes, op.x, op.y), static_cast<const T*>(op.x),
             static_cast<T*>(op.y));
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
             softmax_row_gradient<T, Team>, op.rows, op.classes,
             has_packed_rows<T>(op.classes, op.y, op.dy, op.dx), static_cast<const T*>(op.y),
             static_cast<const T*>(op.dy), static_cast<T*>(op.dx), op.log, op.accumulate);
    });
  });
}

}  // namespace convoy::CONVOY_TARGET
