// SPDX-License-Identifier: MIT
#pragma once
// Matrices of halves in the registers of a warp, as mma.sync and wgmma have them. Lane l is in row
// group l / 4 and column pair l % 4 of a matrix of 8 by 8.

#include <bit>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

inline float half_value(std::uint16_t bits, bool bf16) {
  if (bf16) return std::bit_cast<float>(std::uint32_t{bits} << 16);
  return static_cast<float>(std::bit_cast<_Float16>(bits));
}
inline float low_half(Word word, bool bf16) {
  return half_value(static_cast<std::uint16_t>(word), bf16);
}
inline float high_half(Word word, bool bf16) {
  return half_value(static_cast<std::uint16_t>(word >> 16), bf16);
}
inline float float_of(Word word) { return std::bit_cast<float>(static_cast<std::uint32_t>(word)); }
inline Word word_of(float value) { return std::bit_cast<std::uint32_t>(value); }

// A's 16 rows and columns k: four registers, for rows above and below, of columns left and right.
struct FragmentA {
  float at[16][16];

  FragmentA() = default;
  FragmentA(Warp& w, const int* slots, bool bf16) {
    for (int k = 0; k < 4; ++k) {
      const Word* words = w.r(slots[k]);
      for (int l = 0; l < 32; ++l) {
        float* pair = &at[l / 4 + 8 * (k % 2)][2 * (l % 4) + 8 * (k / 2)];
        pair[0] = low_half(words[l], bf16), pair[1] = high_half(words[l], bf16);
      }
    }
  }
};

// Row and column of a lane's element k of a result with 16 rows.
constexpr int result_row(int lane, int k) { return lane / 4 + 8 * (k / 2 % 2); }
constexpr int result_column(int lane, int k) { return 8 * (k / 4) + 2 * (lane % 4) + k % 2; }

}  // namespace convoy::ptx
