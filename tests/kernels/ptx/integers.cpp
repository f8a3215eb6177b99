// SPDX-License-Identifier: MIT
// Arithmetic of integers: round the corner where it does not fit.
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Word>(a) + static_cast<Word>(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Word>(a) - static_cast<Word>(b));
  }
};
struct MulLow {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Word>(a) * static_cast<Word>(b));
  }
};
struct MulHigh {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<__int128>(a) * static_cast<__int128>(b) >> 8 * sizeof(T));
  }
};
template <class Wide>
struct MulWide {
  template <class T>
  Wide operator()(T a, T b) const {
    return static_cast<Wide>(static_cast<Word>(a) * static_cast<Word>(b));
  }
};
struct MadLow {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(MulLow{}(a, b), c);
  }
};
template <class Wide>
struct MadWide {
  template <class T>
  Wide operator()(T a, T b, Wide c) const {
    return Add{}(MulWide<Wide>{}(a, b), c);
  }
};
// By 0: what the manual leaves open, all bits.
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return static_cast<T>(-1);
    if (b == static_cast<T>(-1) && std::is_signed_v<T>) return Sub{}(T{0}, a);
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return a;
    if (b == static_cast<T>(-1) && std::is_signed_v<T>) return 0;
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return Sub{}(T{0}, a);
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return a < 0 ? Sub{}(T{0}, a) : a;
  }
};

Run mul(std::string_view part, std::string_view type) {
  using std::int16_t, std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t;
  if (part == "lo") return for_integer(type, kBinary<MulLow>);
  if (part == "hi") return for_integer(type, kBinary<MulHigh>);
  if (part != "wide") return nullptr;
  if (type == "s16") return binary<MulWide<int32_t>, int32_t, int16_t, int16_t>;
  if (type == "u16") return binary<MulWide<uint32_t>, uint32_t, uint16_t, uint16_t>;
  if (type == "s32") return binary<MulWide<int64_t>, int64_t, int32_t, int32_t>;
  return type == "u32" ? binary<MulWide<uint64_t>, uint64_t, uint32_t, uint32_t> : nullptr;
}

Run mad(std::string_view part, std::string_view type) {
  using std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t;
  if (part == "lo") {
    if (type == "s16" || type == "u16") return ternary<MadLow, uint16_t, uint16_t, uint16_t>;
    if (type == "s32" || type == "u32") return ternary<MadLow, uint32_t, uint32_t, uint32_t>;
    if (type == "s64" || type == "u64") return ternary<MadLow, uint64_t, uint64_t, uint64_t>;
  }
  if (part != "wide") return nullptr;
  if (type == "s32") return ternary<MadWide<int64_t>, int64_t, int32_t, int64_t>;
  return type == "u32" ? ternary<MadWide<uint64_t>, uint64_t, uint32_t, uint64_t> : nullptr;
}

}  // namespace

Run decode_integer(const std::vector<std::string_view>& opcode, Instruction&) {
  const std::string_view op = opcode[0], type = opcode.back();
  if (opcode.size() == 3 && op == "mul") return mul(opcode[1], type);
  if (opcode.size() == 3 && op == "mad") return mad(opcode[1], type);
  if (opcode.size() != 2) return nullptr;
  if (op == "add") return for_integer(type, kBinary<Add>);
  if (op == "sub") return for_integer(type, kBinary<Sub>);
  if (op == "div") return for_integer(type, kBinary<Div>);
  if (op == "rem") return for_integer(type, kBinary<Rem>);
  if (op == "min") return for_integer(type, kBinary<Min>);
  if (op == "max") return for_integer(type, kBinary<Max>);
  if (op == "neg") return for_integer(type, kUnary<Neg>);
  return op == "abs" ? for_integer(type, kUnary<Abs>) : nullptr;
}

}  // namespace convoy::ptx
