// SPDX-License-Identifier: MIT
// setp.
#include <cmath>

#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

template <class T>
bool unordered(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(a) || std::isnan(b);
  } else {
    return false;
  }
}

// A comparison with a NaN is false; of those that end in u it is true.
struct Equal {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct NotEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a != b && !unordered(a, b);
  }
};
struct Less {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessOrEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Greater {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterOrEqual {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct Unordered {
  template <class T>
  bool operator()(T a, T b) const {
    return unordered(a, b);
  }
};
struct Ordered {
  template <class T>
  bool operator()(T a, T b) const {
    return !unordered(a, b);
  }
};
template <class Comparison>
struct OrUnordered {
  template <class T>
  bool operator()(T a, T b) const {
    return Comparison{}(a, b) || unordered(a, b);
  }
};

template <class Comparison>
Run typed(std::string_view type) {
  const auto make = [](auto t) -> Run {
    return binary<Comparison, bool, decltype(t), decltype(t)>;
  };
  return type.starts_with('f') ? for_float(type, make) : for_integer(type, make);
}

}  // namespace

// setp.lt.s32: of the forms without a second predicate.
Run decode_compare(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "setp" || opcode.size() != 3 || i.operands.size() != 3) return nullptr;
  const std::string_view how = opcode[1], type = opcode[2];
  if (how == "eq") return typed<Equal>(type);
  if (how == "ne") return typed<NotEqual>(type);
  if (how == "lt") return typed<Less>(type);
  if (how == "le") return typed<LessOrEqual>(type);
  if (how == "gt") return typed<Greater>(type);
  if (how == "ge") return typed<GreaterOrEqual>(type);
  if (how == "equ") return typed<OrUnordered<Equal>>(type);
  if (how == "neu") return typed<OrUnordered<NotEqual>>(type);
  if (how == "ltu") return typed<OrUnordered<Less>>(type);
  if (how == "leu") return typed<OrUnordered<LessOrEqual>>(type);
  if (how == "gtu") return typed<OrUnordered<Greater>>(type);
  if (how == "geu") return typed<OrUnordered<GreaterOrEqual>>(type);
  if (how == "nan") return typed<Unordered>(type);
  return how == "num" ? typed<Ordered>(type) : nullptr;
}

}  // namespace convoy::ptx
