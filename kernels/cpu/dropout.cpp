// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

template <class T>
void put(T& y, T value, bool accumulate) {
  y = accumulate ? y + value : value;
}

// 24-bit numbers below this are dropped: the same test as to_uniform(word) < p, in integers.
std::uint32_t threshold(double p) { return static_cast<std::uint32_t>(std::ceil(p * 0x1p24)); }

template <class T>
void drop_elements(const Dropout& op, T scale) {
  const T* const x = static_cast<const T*>(op.x);
  T* const y = static_cast<T*>(op.y);
  const std::uint32_t below = threshold(op.p);
  const auto step = static_cast<std::uint64_t>(op.state->step);
  // The first block's words of elements before ours are left out.
  const std::int64_t block = op.first / 4, before = op.first % 4;
  parallel_for((before + op.count + 3) / 4, 2048, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const PhiloxWords words = philox_block(op.key, step, static_cast<std::uint64_t>(block + b));
      const std::int64_t at = 4 * b - before, n = std::min<std::int64_t>(4, op.count - at);
      for (std::int64_t i = std::max<std::int64_t>(0, -at); i < n; ++i) {
        const bool kept = words[static_cast<std::size_t>(i)] >> 8 >= below;
        put(y[at + i], kept ? x[at + i] * scale : T(0), op.accumulate);
      }
    }
  });
}

template <class T>
void drop_rows(const Dropout& op, T scale) {
  const T* const x = static_cast<const T*>(op.x);
  T* const y = static_cast<T*>(op.y);
  const std::uint32_t below = threshold(op.p);
  const auto step = static_cast<std::uint64_t>(op.state->step);
  const std::int64_t before = op.first / op.row;
  const std::int64_t rows = (op.count + op.row - 1) / op.row;
  parallel_for(rows, std::max<std::int64_t>(1, 16384 / op.row),
               [&](std::int64_t b, std::int64_t e) {
                 for (std::int64_t r = b; r < e; ++r) {
                   const auto row = static_cast<std::uint64_t>(before + r);
                   const bool kept = philox_word(op.key, step, row) >> 8 >= below;
                   const std::int64_t end = std::min(op.count, (r + 1) * op.row);
                   for (std::int64_t i = r * op.row; i < end; ++i) {
                     put(y[i], kept ? x[i] * scale : T(0), op.accumulate);
                   }
                 }
               });
}

}  // namespace

Plan plan(const Dropout&, const Device&) { return {}; }

void run(const Dropout& op, const Plan&, void*, const Stream&) {
  require_valid(op);
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const T scale = static_cast<T>(op.p < 1 ? 1 / (1 - op.p) : 0);
    op.row == 1 ? drop_elements<T>(op, scale) : drop_rows<T>(op, scale);
  });
}

}  // namespace convoy::on_cpu
