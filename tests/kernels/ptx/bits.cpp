// SPDX-License-Identifier: MIT
// Bits of registers, and moves.
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

struct And {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  bool operator()(bool a) const { return !a; }
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
// By as much as the type is wide or more: nothing is left, but the sign.
struct ShiftLeft {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    return n < 8 * sizeof(T) ? static_cast<T>(static_cast<Word>(a) << n) : T{0};
  }
};
struct ShiftRight {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    if (n < 8 * sizeof(T)) return static_cast<T>(a >> n);
    return std::is_signed_v<T> && a < 0 ? static_cast<T>(-1) : T{0};
  }
};
struct Popcount {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::popcount(a));
  }
};
struct LeadingZeros {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::countl_zero(a));
  }
};
struct Same {
  template <class T>
  T operator()(T a) const {
    return a;
  }
};

template <class F>
Run shift_of(std::string_view type) {
  return for_integer(
      type, [](auto t) -> Run { return binary<F, decltype(t), decltype(t), std::uint32_t>; });
}
template <class F>
Run logic_of(std::string_view type) {
  return type == "pred" ? binary<F, bool, bool, bool> : for_integer(type, kBinary<F>);
}
template <class F>
Run count_of(std::string_view type) {
  if (type == "b32") return unary<F, std::uint32_t, std::uint32_t>;
  return type == "b64" ? unary<F, std::uint32_t, std::uint64_t> : nullptr;
}

// `count` bits of the first operand into the second, from bit `begin` on.
Step bfi(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const auto operand = [&](std::size_t k) { return w.r(i.operands[k]); };
  const Word *a = operand(1), *b = operand(2), *begin = operand(3), *count = operand(4);
  for_lanes(lanes, [&](int l) {
    const Word from = begin[l] & 255, bits = count[l] & 255;
    const Word ones = bits >= 32 ? 0xffffffff : (Word{1} << bits) - 1;
    const Word mask = from >= 32 ? 0 : ones << from & 0xffffffff;
    operand(0)[l] = (b[l] & ~mask & 0xffffffff) | (from >= 32 ? 0 : a[l] << from & mask);
  });
  return Step::next;
}

// Four of the eight bytes of two registers, chosen by the digits of the third; a digit of 8 and
// more takes the byte's sign.
Step prmt(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const Word *a = w.r(i.operands[1]), *b = w.r(i.operands[2]), *digits = w.r(i.operands[3]);
  for_lanes(lanes, [&](int l) {
    const Word bytes = (a[l] & 0xffffffff) | b[l] << 32;
    Word result = 0;
    for (int k = 0; k < 4; ++k) {
      const Word digit = digits[l] >> 4 * k & 15;
      Word byte = bytes >> 8 * (digit & 7) & 255;
      if (digit >= 8) byte = byte >= 128 ? 255 : 0;
      result |= byte << 8 * k;
    }
    w.r(i.operands[0])[l] = result;
  });
  return Step::next;
}

Step selp(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word *a = w.r(i.operands[1]), *b = w.r(i.operands[2]), *p = w.r(i.operands[3]);
  for_lanes(lanes, [&](int l) { d[l] = p[l] != 0 ? a[l] : b[l]; });
  return Step::next;
}

// A register's parts, the lowest first; number: bits of a part.
Step pack(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const Word mask = (Word{1} << i.number) - 1;
  for_lanes(lanes, [&](int l) {
    Word all = 0;
    for (std::size_t k = i.operands.size() - 1; k > 0; --k) {
      all = all << i.number | (w.r(i.operands[k])[l] & mask);
    }
    w.r(i.operands[0])[l] = all;
  });
  return Step::next;
}
Step unpack(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const Word mask = (Word{1} << i.number) - 1;
  for_lanes(lanes, [&](int l) {
    Word rest = w.r(i.operands.back())[l];
    for (std::size_t k = 0; k + 1 < i.operands.size(); ++k, rest >>= i.number) {
      if (i.operands[k] >= 0) w.r(i.operands[k])[l] = rest & mask;
    }
  });
  return Step::next;
}

// mov.b64 %rd1, {%r1, %r2} and the other way round, or of one register to another.
Run move(std::string_view type, Instruction& i) {
  if (i.operands.size() == 2) return unary<Same, Word, Word>;
  const int bits = type == "b64" ? 64 : type == "b32" ? 32 : 0;
  const int parts = static_cast<int>(i.operands.size()) - 1;
  if (bits == 0 || bits % parts != 0) return nullptr;
  i.number = bits / parts;
  return i.text.find('{') < i.text.find(',') ? unpack : pack;
}

}  // namespace

Run decode_bits(const std::vector<std::string_view>& opcode, Instruction& i) {
  const std::string_view op = opcode[0], type = opcode.back();
  if (opcode.size() != 2) return nullptr;
  if (op == "mov") return move(type, i);
  if (op == "selp") return selp;
  if (op == "and") return logic_of<And>(type);
  if (op == "or") return logic_of<Or>(type);
  if (op == "xor") return logic_of<Xor>(type);
  if (op == "not") return type == "pred" ? unary<Not, bool, bool> : for_integer(type, kUnary<Not>);
  if (op == "shl") return shift_of<ShiftLeft>(type);
  if (op == "shr") return shift_of<ShiftRight>(type);
  if (op == "popc") return count_of<Popcount>(type);
  if (op == "clz") return count_of<LeadingZeros>(type);
  if (op == "bfi" && type == "b32") return bfi;
  return op == "prmt" && type == "b32" ? prmt : nullptr;
}

}  // namespace convoy::ptx
