// SPDX-License-Identifier: MIT
// ldmatrix, stmatrix, mma.sync: what a whole warp does with matrices.
#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/fragments.h"

namespace convoy::ptx {
namespace {

// 8 rows of 8 halves; lane 8 m + r says where row r of matrix m is.
struct Tile {
  std::uint16_t at[8][8];

  // A lane's first half of two; the second is one column further, or one row if transposed.
  std::uint16_t& half(int lane, int which, bool transposed) {
    const int row = lane / 4, column = 2 * (lane % 4) + which;
    return transposed ? at[column][row] : at[row][column];
  }
};

std::uint8_t* row_place(Warp& w, const Instruction& i, std::size_t operand, int lane) {
  const Word address = w.r(i.operands[operand])[lane] + static_cast<Word>(i.offset);
  return place(w, lane, Space::shared, address, 16, i);
}

// number: matrices; more: transposed
Step ldmatrix(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (lanes != w.live) return Step::wait_for_lanes;
  for (int m = 0; m < i.number; ++m) {
    Tile tile;
    for (int row = 0; row < 8; ++row) {
      std::memcpy(tile.at[row], row_place(w, i, i.operands.size() - 1, 8 * m + row), 16);
    }
    Word* d = w.r(i.operands[static_cast<std::size_t>(m)]);
    for (int l = 0; l < 32; ++l) {
      const Word high = tile.half(l, 1, i.more != 0);
      d[l] = tile.half(l, 0, i.more != 0) | high << 16;
    }
  }
  return Step::next;
}

Step stmatrix(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (lanes != w.live) return Step::wait_for_lanes;
  for (int m = 0; m < i.number; ++m) {
    Tile tile;
    const Word* from = w.r(i.operands[static_cast<std::size_t>(m) + 1]);
    for (int l = 0; l < 32; ++l) {
      tile.half(l, 0, i.more != 0) = static_cast<std::uint16_t>(from[l]);
      tile.half(l, 1, i.more != 0) = static_cast<std::uint16_t>(from[l] >> 16);
    }
    for (int row = 0; row < 8; ++row) {
      std::memcpy(row_place(w, i, 0, 8 * m + row), tile.at[row], 16);
    }
  }
  return Step::next;
}

// ldmatrix.sync.aligned.m8n8.x4[.trans].shared.b16
Run matrix_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[3] != "m8n8" || opcode.back() != "b16") return nullptr;
  i.number = opcode[4] == "x1" ? 1 : opcode[4] == "x2" ? 2 : opcode[4] == "x4" ? 4 : 0;
  if (i.number == 0) return nullptr;
  i.more = contains(opcode, "trans");
  const std::size_t address = opcode[0] == "ldmatrix" ? i.operands.size() - 1 : 0;
  i.accesses = {{Space::shared, address, i.offset, 16, static_cast<int>(8 * i.number)}};
  return opcode[0] == "ldmatrix" ? ldmatrix : stmatrix;
}

// B's column and two rows in each of two registers.
void read_b(Warp& w, const int* slots, bool bf16, float (&b)[16][8]) {
  for (int k = 0; k < 2; ++k) {
    for (int l = 0; l < 32; ++l) {
      const Word word = w.r(slots[k])[l];
      const int row = 2 * (l % 4) + 8 * k;
      b[row][l / 4] = low_half(word, bf16), b[row + 1][l / 4] = high_half(word, bf16);
    }
  }
}

// operands: four of d, four of a, two of b, four of c; number: whether the halves are bf16
Step mma_m16n8k16(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (lanes != w.live) return Step::wait_for_lanes;
  const int* o = i.operands.data();
  const bool bf16 = i.number != 0;
  const FragmentA a(w, o + 4, bf16);
  float b[16][8];
  read_b(w, o + 8, bf16, b);
  for (int k = 0; k < 4; ++k) {
    for (int l = 0; l < 32; ++l) {
      double sum = 0;
      for (int j = 0; j < 16; ++j) {
        sum += static_cast<double>(a.at[result_row(l, k)][j]) * b[j][result_column(l, k)];
      }
      w.r(o[k])[l] = word_of(static_cast<float>(sum) + float_of(w.r(o[10 + k])[l]));
    }
  }
  return Step::next;
}

// mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
Run mma_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  const auto is = [&](std::size_t k, const char* word) { return opcode[k] == word; };
  if (opcode.size() != 10 || i.operands.size() != 14 || !is(3, "m16n8k16")) return nullptr;
  if (!is(4, "row") || !is(5, "col") || !is(6, "f32") || !is(9, "f32")) return nullptr;
  if (!is(7, "f16") && !is(7, "bf16")) return nullptr;
  i.number = is(7, "bf16");
  return opcode[8] == opcode[7] ? mma_m16n8k16 : nullptr;
}

}  // namespace

Run decode_matrix(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] == "ldmatrix" || opcode[0] == "stmatrix") return matrix_of(opcode, i);
  return opcode[0] == "mma" ? mma_of(opcode, i) : nullptr;
}

}  // namespace convoy::ptx
