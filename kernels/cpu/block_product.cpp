// SPDX-License-Identifier: MIT
#include "kernels/cpu/block_product.h"

#include "kernels/cpu/simd.h"

namespace convoy::on_cpu {
namespace {

// kRows rows of c at once, in registers. Each step of k takes one line of b and kRows broadcasts.
template <class V, int kRows>
CONVOY_INLINE void rows_tile(const RowsProduct& p, std::int64_t row) {
  constexpr int kParts = kLine / kLanes<V>;
  V sum[kRows][kParts] = {};
  const float* b = p.b;
  for (std::int64_t block = 0; block < p.depth / kLine; ++block) {
    const float* a = p.a + block * p.a_block + row * kLine;
    for (int k = 0; k < kLine; ++k, b += kLine) {
      V line[kParts];
      for (int j = 0; j < kParts; ++j) line[j] = load<V>(b + j * kLanes<V>);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) {
        for (int j = 0; j < kParts; ++j) sum[i][j] += line[j] * a[i * kLine + k];
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kParts; ++j) {
      float* c = p.c + (row + i) * p.c_row + j * kLanes<V>;
      store(c, p.accumulate ? load<V>(c) + sum[i][j] : sum[i][j]);
    }
  }
}

template <class V, int kRows>
CONVOY_INLINE void rows_product(const RowsProduct& p) {
  std::int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows) rows_tile<V, kRows>(p, row);
  if constexpr (kRows > 8) {
    if (row + 8 <= p.rows) rows_tile<V, 8>(p, row), row += 8;
  }
  if (row + 4 <= p.rows) rows_tile<V, 4>(p, row), row += 4;
  if (row + 2 <= p.rows) rows_tile<V, 2>(p, row), row += 2;
  if (row < p.rows) rows_tile<V, 1>(p, row);
}

// Rows [row, row + kRows) of the 16 x 16 result.
template <class V, int kRows>
CONVOY_INLINE void columns_tile(const ColumnsProduct& p, int row) {
  constexpr int kParts = kLine / kLanes<V>;
  V sum[kRows][kParts] = {};
  for (std::int64_t run = 0; run < p.runs; ++run) {
    const float *a = p.a + run * p.a_step + row, *b = p.b + run * p.b_step;
    for (std::int64_t t = 0; t < p.depth; ++t, a += kLine, b += kLine) {
      V line[kParts];
      for (int j = 0; j < kParts; ++j) line[j] = load<V>(b + j * kLanes<V>);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) {
        for (int j = 0; j < kParts; ++j) sum[i][j] += line[j] * a[i];
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kParts; ++j) {
      float* c = p.c + (row + i) * kLine + j * kLanes<V>;
      store(c, p.accumulate ? load<V>(c) + sum[i][j] : sum[i][j]);
    }
  }
}

CONVOY_AVX512 void rows_avx512(const RowsProduct& p) { rows_product<Float16, 16>(p); }
void rows_avx2(const RowsProduct& p) { rows_product<Float8, 6>(p); }

CONVOY_AVX512 void columns_avx512(const ColumnsProduct& p) { columns_tile<Float16, 16>(p, 0); }
void columns_avx2(const ColumnsProduct& p) {
  for (int row = 0; row < kLine; row += 4) columns_tile<Float8, 4>(p, row);
}

}  // namespace

void multiply_rows(const RowsProduct& p) { avx512() ? rows_avx512(p) : rows_avx2(p); }
void multiply_columns(const ColumnsProduct& p) { avx512() ? columns_avx512(p) : columns_avx2(p); }

}  // namespace convoy::on_cpu
