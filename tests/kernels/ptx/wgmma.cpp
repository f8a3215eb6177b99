// SPDX-License-Identifier: MIT
// wgmma: products of four warps, each of which has 16 of the 64 rows of A and of the result. Done
// when their group is waited for: until then the result's registers have what was there before.
#include <cstdlib>
#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/fragments.h"

namespace convoy::ptx {
namespace {

// A matrix in shared memory, after the manual's table of canonical layouts: units of 16 bytes,
// of which a line of the swizzle has 1, 2, 4 or 8.
struct Matrix {
  Word start, leading, stride;  // bytes
  int line;                     // units
  bool k_major;

  Matrix(Word descriptor, bool is_k_major)
      : start((descriptor & 0x3fff) << 4),
        leading((descriptor >> 16 & 0x3fff) << 4),
        stride((descriptor >> 32 & 0x3fff) << 4),
        line(line_of(descriptor >> 62)),
        k_major(is_k_major) {}

  static int line_of(Word mode) { return mode == 0 ? 1 : mode == 1 ? 8 : mode == 2 ? 4 : 2; }

  // Offset of the element in row m (of M or N) and column k.
  Word place(int m, int k) const {
    const Word plain = start + (k_major ? along_k(m, k) : along_m(m, k));
    return line == 1 ? plain : plain ^ (plain >> 7 & static_cast<Word>(line - 1)) << 4;
  }
  Word along_k(int m, int k) const {
    const Word unit = static_cast<Word>(k / 8), row = static_cast<Word>(m % 8);
    const Word inside = 2 * static_cast<Word>(k % 8) + static_cast<Word>(m / 8) * stride;
    if (line == 1) return inside + 16 * row + unit * leading;
    return inside + 16 * (row * static_cast<Word>(line) + unit);
  }
  Word along_m(int m, int k) const {
    const Word unit = static_cast<Word>(m / 8), row = static_cast<Word>(k % 8);
    const Word rows = static_cast<Word>(k / 8), width = static_cast<Word>(line);
    const Word inside = 2 * static_cast<Word>(m % 8);
    if (line == 1) return inside + unit * stride + 16 * row + rows * leading;
    return inside + 16 * (unit % width + row * width) + unit / width * leading + rows * stride;
  }
};

struct Product {
  const Instruction* i;
  int n, warp;
  bool bf16, a_in_registers, add, a_k_major, b_k_major;
  float sign;
  Word a, b;  // descriptors
};

float element(Warp& w, const Product& p, const Matrix& m, int row, int k) {
  const Word address = shared_of(w.block->rank, m.place(row, k));
  std::uint16_t bits;
  std::memcpy(&bits, shared_place(w, address, sizeof bits, *p.i), sizeof bits);
  return half_value(bits, p.bf16);
}

FragmentA read_a(Warp& w, const Product& p) {
  if (p.a_in_registers) return {w, p.i->operands.data() + p.n / 2, p.bf16};
  FragmentA a;
  const Matrix m(p.a, p.a_k_major);
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) a.at[row][k] = element(w, p, m, 16 * p.warp + row, k);
  }
  return a;
}

std::vector<std::array<float, 16>> read_b(Warp& w, const Product& p) {
  std::vector<std::array<float, 16>> columns(static_cast<std::size_t>(p.n));
  const Matrix m(p.b, p.b_k_major);
  int n = 0;
  for (auto& column : columns) {
    for (int k = 0; k < 16; ++k) column[static_cast<std::size_t>(k)] = element(w, p, m, n, k);
    ++n;
  }
  return columns;
}

void finish(Warp& w, const Product& p) {
  const FragmentA a = read_a(w, p);
  const auto b = read_b(w, p);
  for (int k = 0; k < p.n / 2; ++k) {
    Word* d = w.r(p.i->operands[static_cast<std::size_t>(k)]);
    for (int l = 0; l < 32; ++l) {
      const auto& column = b[static_cast<std::size_t>(result_column(l, k))];
      double sum = 0;
      for (std::size_t j = 0; j < 16; ++j) {
        sum += static_cast<double>(a.at[result_row(l, k)][j]) * column[j];
      }
      const float product = p.sign * static_cast<float>(sum);
      d[l] = word_of(p.add ? float_of(d[l]) + product : product);
    }
  }
}

// operands: n / 2 of d; a's descriptor or four registers; b's; whether to add; the signs; for what
// is in shared memory whether it is M-major or N-major. number: n; more: bf16
Step begin(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (lanes != w.live || lanes != ~0U) return Step::wait_for_lanes;
  const auto d = static_cast<std::size_t>(i.number / 2);
  const bool in_registers = i.operands.size() == d + 9;
  if (!in_registers && i.operands.size() != d + 7) fail("expects other operands", i);
  const std::size_t b = d + (in_registers ? 4 : 1);
  const auto flag = [&](std::size_t k) { return w.r(i.operands[b + k])[0]; };
  Product p{};
  p.i = &i, p.n = static_cast<int>(i.number), p.warp = static_cast<int>(w.index % 4);
  p.bf16 = i.more != 0, p.a_in_registers = in_registers, p.add = flag(1) != 0;
  p.sign =
      static_cast<float>(static_cast<std::int64_t>(flag(2)) * static_cast<std::int64_t>(flag(3)));
  p.a_k_major = in_registers || flag(4) == 0, p.b_k_major = flag(in_registers ? 4 : 5) == 0;
  p.a = w.r(i.operands[d])[0], p.b = flag(0);
  w.products.back().push_back([&w, p] { finish(w, p); });
  return Step::next;
}

Step commit(Warp& w, const Instruction&, std::uint32_t lanes) {
  if (lanes != w.live) return Step::wait_for_lanes;
  w.products.emplace_back();
  return Step::next;
}

Step wait(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (lanes != w.live) return Step::wait_for_lanes;
  const std::size_t stay = common(w, i, 0, lanes) + 1;
  for (; w.products.size() > stay; w.products.pop_front()) {
    for (const Work& product : w.products.front()) product();
  }
  return Step::next;
}

Step fence(Warp& w, const Instruction&, std::uint32_t lanes) {
  return lanes == w.live ? Step::next : Step::wait_for_lanes;
}

// wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
Run product_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode.size() != 8 || opcode[5] != "f32" || opcode[6] != opcode[7]) return nullptr;
  const std::string shape(opcode[4]);
  if (!shape.starts_with("m64n") || !shape.ends_with("k16")) return nullptr;
  i.number = std::atoi(shape.c_str() + 4);
  i.more = opcode[6] == "bf16";
  return opcode[6] == "f16" || opcode[6] == "bf16" ? begin : nullptr;
}

}  // namespace

Run decode_wgmma(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "wgmma") return nullptr;
  if (opcode[1] == "mma_async") return product_of(opcode, i);
  if (opcode[1] == "commit_group") return commit;
  if (opcode[1] == "wait_group") return wait;
  return opcode[1] == "fence" ? fence : nullptr;
}

}  // namespace convoy::ptx
