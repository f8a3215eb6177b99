// SPDX-License-Identifier: MIT
#pragma once
// What the pooling kernels share: integer division that rounds, the loop over rows, and a register
// of channels.

#include <type_traits>

#include "kernels/cpu/parallel.h"
#include "kernels/pool2d.h"

namespace convoy::on_cpu {

inline std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}
inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return floor_div(a + b - 1, b); }

struct Range {
  std::int64_t begin, end;
};

// f(n, row) for every row of every image, spread over the threads.
template <class F>
void for_each_row(std::int64_t batch, std::int64_t rows, std::int64_t elements_per_row, F&& f) {
  const std::int64_t grain = (1 << 13) / std::max<std::int64_t>(elements_per_row, 1) + 1;
  parallel_for(batch * rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}

// A register of values, and one of indices with as many lanes.
template <class T>
struct Vector {
  static constexpr std::int64_t kLanes = 32 / sizeof(T);
  using Whole = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef T Values __attribute__((vector_size(32)));
  typedef Whole Wholes __attribute__((vector_size(32)));
};

}  // namespace convoy::on_cpu
