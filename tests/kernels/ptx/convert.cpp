// SPDX-License-Identifier: MIT
// cvt.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/fragments.h"
#include "tests/kernels/ptx/values.h"

namespace convoy::ptx {
namespace {

struct F16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

enum class Rounding { none, nearest, zero, to_nearest, to_zero, down };
constexpr int kRounding = 15, kSaturate = 16, kFlush = 32;  // of an instruction's number

Rounding rounding_of(const Instruction& i) { return static_cast<Rounding>(i.number & kRounding); }

// Halves as f32, which has all of them.
template <class T>
auto widened(Word word) {
  if constexpr (std::is_same_v<T, F16>) {
    return half_value(static_cast<std::uint16_t>(word), false);
  } else if constexpr (std::is_same_v<T, Bf16>) {
    return half_value(static_cast<std::uint16_t>(word), true);
  } else {
    return get<T>(word);
  }
}

template <class T>
T whole(T value, Rounding rounding) {
  switch (rounding) {
    case Rounding::to_nearest:
      return std::nearbyint(value);
    case Rounding::to_zero:
      return std::trunc(value);
    case Rounding::down:
      return std::floor(value);
    default:
      return value;
  }
}

constexpr std::uint16_t kNan = 0x7fff;  // of both kinds of halves

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t odd = bits >> 16 & 1;
  return std::isnan(value) ? kNan : static_cast<std::uint16_t>((bits + 0x7fff + odd) >> 16);
}
template <class T>
std::uint16_t to_f16(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return kNan;
  }
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
}

// The nearest that there is; of a NaN the manual has zero, and the highest bit alone where one side
// has 64 bits.
template <class To, class From>
To to_integer(From value, Rounding rounding) {
  using Limits = std::numeric_limits<To>;
  if (std::isnan(value)) {
    const bool wide = sizeof(From) == 8 || sizeof(To) == 8;
    return wide ? static_cast<To>(Word{1} << (8 * sizeof(To) - 1)) : To{0};
  }
  const auto exact = whole(static_cast<long double>(value), rounding);
  if (exact <= static_cast<long double>(Limits::min())) return Limits::min();
  if (exact >= static_cast<long double>(Limits::max())) return Limits::max();
  return static_cast<To>(exact);
}

template <class To, class From>
To to_float(From value, const Instruction& i) {
  if constexpr (std::is_floating_point_v<From>) value = whole(value, rounding_of(i));
  To result = static_cast<To>(value);
  if constexpr (std::is_floating_point_v<From>) {
    const bool farther = std::fabs(static_cast<From>(result)) > std::fabs(value);
    if (rounding_of(i) == Rounding::zero && farther) result = std::nextafter(result, To{0});
  }
  if ((i.number & kSaturate) != 0) {
    return std::isnan(result) ? To{0} : std::clamp(result, To{0}, To{1});
  }
  return result;
}

template <class To, class From>
Word converted(From value, const Instruction& i) {
  if constexpr (std::is_same_v<To, Bf16>) {
    return to_bf16(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, F16>) {
    return to_f16(value);
  } else if constexpr (std::is_floating_point_v<To>) {
    return put(to_float<To>(value, i));
  } else if constexpr (std::is_floating_point_v<From>) {
    return put(to_integer<To>(value, rounding_of(i)));
  } else {
    return put(static_cast<To>(value));
  }
}

template <class To, class From>
Step cvt(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word* a = w.r(i.operands[1]);
  for_lanes(lanes, [&](int l) {
    auto value = widened<From>(a[l]);
    if constexpr (std::is_same_v<decltype(value), float>) {
      if ((i.number & kFlush) != 0) value = without_denormals(value);
    }
    d[l] = converted<To>(value, i);
  });
  return Step::next;
}

// make(T{}) of any type that there is.
template <class Make>
Run for_any(std::string_view type, Make make) {
  if (type == "f16") return make(F16{});
  if (type == "bf16") return make(Bf16{});
  if (type == "s8") return make(std::int8_t{});
  if (type == "u8") return make(std::uint8_t{});
  return type.starts_with('f') ? for_float(type, make) : for_integer(type, make);
}

// False: a word that is not known.
bool read_modifier(std::string_view word, bool of_floats, Instruction& i) {
  const auto rounds = [&](Rounding how) {
    i.number |= static_cast<int>(how);
    return true;
  };
  if (word == "rn") return rounds(Rounding::nearest);
  if (word == "rz") return rounds(Rounding::zero);
  if (word == "rni") return rounds(Rounding::to_nearest);
  if (word == "rzi") return rounds(Rounding::to_zero);
  if (word == "rmi") return rounds(Rounding::down);
  if (word == "sat") i.number |= kSaturate;
  if (word == "ftz") i.number |= kFlush;
  return (word == "sat" && of_floats) || word == "ftz";
}

}  // namespace

// cvt.rn.f32.s32: to f32, from s32
Run decode_convert(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "cvt" || opcode.size() < 3) return nullptr;
  const std::string_view to = opcode[opcode.size() - 2], type = opcode.back();
  for (std::size_t k = 1; k + 2 < opcode.size(); ++k) {
    if (!read_modifier(opcode[k], to == "f32" && type == "f32", i)) return nullptr;
  }
  if (to == "bf16" && type == "f64") return nullptr;  // it would be rounded twice
  return for_any(to, [&](auto wanted) {
    return for_any(type, [](auto given) -> Run { return cvt<decltype(wanted), decltype(given)>; });
  });
}

}  // namespace convoy::ptx
