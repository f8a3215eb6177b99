// SPDX-License-Identifier: MIT
// ld, st, atom, red.
#include <algorithm>
#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

// A signed number fills its register.
template <int kBytes, bool kSigned>
Word load(const std::uint8_t* from) {
  Word value = 0;
  std::memcpy(&value, from, kBytes);
  if constexpr (kSigned && kBytes < 8) {
    constexpr int kAbove = 64 - 8 * kBytes;
    value = static_cast<Word>(static_cast<std::int64_t>(value << kAbove) >> kAbove);
  }
  return value;
}

Word address_of(Warp& w, const Instruction& i, std::size_t operand, int lane) {
  return w.r(i.operands[operand])[lane] + static_cast<Word>(i.offset);
}

// number: the space; more: it acquires, and may be asked for in a loop
template <int kBytes, bool kSigned>
Step ld(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const std::size_t parts = i.operands.size() - 1;
  const auto space = static_cast<Space>(i.number);
  for_lanes(lanes, [&](int l) {
    const std::uint8_t* from = place(w, l, space, address_of(w, i, parts, l), kBytes * parts, i);
    for (std::size_t k = 0; k < parts; ++k) {
      if (i.operands[k] < 0) continue;
      w.r(i.operands[k])[l] = load<kBytes, kSigned>(from + k * kBytes);
    }
  });
  w.gives_way = w.gives_way || i.more != 0;
  return Step::next;
}

template <int kBytes>
Step st(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const std::size_t parts = i.operands.size() - 1;
  const auto space = static_cast<Space>(i.number);
  for_lanes(lanes, [&](int l) {
    std::uint8_t* to = place(w, l, space, address_of(w, i, 0, l), kBytes * parts, i);
    for (std::size_t k = 0; k < parts; ++k) {
      std::memcpy(to + k * kBytes, w.r(i.operands[k + 1]) + l, kBytes);
    }
  });
  return Step::next;
}

// What an instruction with a vector of `parts` such numbers moves.
Access access_of(const Instruction& i, std::size_t operand, std::string_view type,
                 std::size_t parts) {
  const std::size_t bytes = type.ends_with("64")   ? 8
                            : type.ends_with("32") ? 4
                            : type.ends_with("16") ? 2
                                                   : 1;
  return {static_cast<Space>(i.number), operand, i.offset, bytes * parts};
}

Run ld_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  i.number = static_cast<int>(space_of(opcode));
  i.more = contains(opcode, "acquire");
  const std::string_view type = opcode.back();
  const std::size_t parts = i.operands.size() - 1;
  i.accesses = {access_of(i, parts, type, parts)};
  if (type == "u8" || type == "b8") return ld<1, false>;
  if (type == "s8") return ld<1, true>;
  if (type == "u16" || type == "b16") return ld<2, false>;
  if (type == "s16") return ld<2, true>;
  if (type == "u32" || type == "b32" || type == "f32") return ld<4, false>;
  if (type == "s32") return ld<4, true>;
  return type.ends_with("64") ? ld<8, false> : nullptr;
}

Run st_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  i.number = static_cast<int>(space_of(opcode));
  const std::string_view type = opcode.back();
  i.accesses = {access_of(i, 0, type, i.operands.size() - 1)};
  if (type.ends_with("16")) return st<2>;
  if (type.ends_with("32")) return st<4>;
  if (type.ends_with("64")) return st<8>;
  return type.ends_with("8") ? st<1> : nullptr;
}

// more: the operands in front of the address, of which one is the result
template <class T, class Change>
Step atom(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const auto first = static_cast<std::size_t>(i.more);
  const Word* b = w.r(i.operands[first + 1]);
  const Word* c = i.operands.size() > first + 2 ? w.r(i.operands[first + 2]) : b;
  for_lanes(lanes, [&](int l) {
    std::uint8_t* at =
        place(w, l, static_cast<Space>(i.number), address_of(w, i, first, l), sizeof(T), i);
    T old;
    std::memcpy(&old, at, sizeof old);
    const T value = Change{}(old, static_cast<T>(b[l]), static_cast<T>(c[l]));
    std::memcpy(at, &value, sizeof value);
    if (first == 1 && i.operands[0] >= 0) w.r(i.operands[0])[l] = static_cast<Word>(old);
  });
  return Step::next;
}

struct Add {
  template <class T>
  T operator()(T old, T b, T) const {
    return static_cast<T>(static_cast<Word>(old) + static_cast<Word>(b));
  }
};
struct Min {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::min(old, b);
  }
};
struct Max {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::max(old, b);
  }
};
struct Exchange {
  template <class T>
  T operator()(T, T b, T) const {
    return b;
  }
};
struct CompareAndSwap {
  template <class T>
  T operator()(T old, T b, T c) const {
    return old == b ? c : old;
  }
};

template <class Change>
Run atom_of(std::string_view type) {
  if (type.ends_with("16")) return nullptr;
  return for_integer(type, [](auto t) -> Run { return atom<decltype(t), Change>; });
}

Run atomic(const std::vector<std::string_view>& opcode, Instruction& i) {
  i.number = static_cast<int>(space_of(opcode));
  i.more = opcode[0] == "atom" ? 1 : 0;
  const std::string_view change = opcode[opcode.size() - 2], type = opcode.back();
  if (change == "add") return atom_of<Add>(type);
  if (change == "min") return atom_of<Min>(type);
  if (change == "max") return atom_of<Max>(type);
  if (change == "exch") return atom_of<Exchange>(type);
  if (change == "cas") return atom_of<CompareAndSwap>(type);
  return nullptr;
}

}  // namespace

Run decode_load(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] == "ld") return ld_of(opcode, i);
  if (opcode[0] == "st") return st_of(opcode, i);
  if (opcode[0] == "atom" || opcode[0] == "red") return atomic(opcode, i);
  return nullptr;
}

}  // namespace convoy::ptx
