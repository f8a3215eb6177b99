// SPDX-License-Identifier: MIT
#pragma once
// Products of small matrices that are stored in lines of 16 floats, the form in which the
// convolutions keep what they transform: no packing, no tails in the columns, and the distance
// between rows is a constant of the code.
//
//   multiply_rows:    c[i][lane]   = sum over k of a[k / 16][i][k % 16] * b[k][lane]
//   multiply_columns: c[row][lane] = sum over t of a[t][row] * b[t][lane]

#include <cstdint>

namespace convoy::on_cpu {

inline constexpr std::int64_t kLine = 16;  // floats

// `depth` is a multiple of 16; `a_block` is the distance in floats between two blocks of 16 k.
struct RowsProduct {
  std::int64_t rows, depth;
  const float* a;  // [depth / 16][rows][16], blocks a_block apart
  std::int64_t a_block;
  const float* b;  // [depth][16]
  float* c;        // [rows][16], rows c_row apart
  bool accumulate;
  std::int64_t c_row = kLine;
};

// c is 16 x 16. The sum may run over several runs of t, which start `a_step` and `b_step` floats
// after one another.
struct ColumnsProduct {
  std::int64_t depth;
  const float* a;  // [depth][16]
  const float* b;  // [depth][16]
  float* c;        // [16][16]
  bool accumulate;
  std::int64_t runs = 1, a_step = 0, b_step = 0;
};

void multiply_rows(const RowsProduct& p);
void multiply_columns(const ColumnsProduct& p);

}  // namespace convoy::on_cpu
