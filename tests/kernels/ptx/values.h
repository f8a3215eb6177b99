// SPDX-License-Identifier: MIT
#pragma once
// Registers as numbers. A number narrower than its register is read from the low bits; a signed one
// is written with its sign above, any other with zeros.

#include <bit>
#include <cstdint>
#include <type_traits>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

template <int kBytes>
using Bits = std::conditional_t<
    kBytes == 1, std::uint8_t,
    std::conditional_t<kBytes == 2, std::uint16_t,
                       std::conditional_t<kBytes == 4, std::uint32_t, std::uint64_t>>>;

template <class T>
T get(Word word) {
  if constexpr (std::is_same_v<T, bool>) {
    return word != 0;
  } else {
    return std::bit_cast<T>(static_cast<Bits<sizeof(T)>>(word));
  }
}

template <class T>
Word put(T value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<Word>(value);
  } else {
    return std::bit_cast<Bits<sizeof(T)>>(value);
  }
}

// Each lane's result of f, which is given the operands in their order.
template <class F, class D, class A>
Step unary(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word* a = w.r(i.operands[1]);
  for_lanes(lanes, [&](int l) { d[l] = put<D>(F{}(get<A>(a[l]))); });
  return Step::next;
}
template <class F, class D, class A, class B>
Step binary(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word *a = w.r(i.operands[1]), *b = w.r(i.operands[2]);
  for_lanes(lanes, [&](int l) { d[l] = put<D>(F{}(get<A>(a[l]), get<B>(b[l]))); });
  return Step::next;
}
template <class F, class D, class A, class C>
Step ternary(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word *a = w.r(i.operands[1]), *b = w.r(i.operands[2]), *c = w.r(i.operands[3]);
  for_lanes(lanes, [&](int l) { d[l] = put<D>(F{}(get<A>(a[l]), get<A>(b[l]), get<C>(c[l]))); });
  return Step::next;
}

// make(T{}) of the type with that name, bits as unsigned numbers; null: there is none.
template <class Make>
Run for_integer(std::string_view type, Make make) {
  if (type == "s16") return make(std::int16_t{});
  if (type == "u16" || type == "b16") return make(std::uint16_t{});
  if (type == "s32") return make(std::int32_t{});
  if (type == "u32" || type == "b32") return make(std::uint32_t{});
  if (type == "s64") return make(std::int64_t{});
  return type == "u64" || type == "b64" ? make(std::uint64_t{}) : nullptr;
}
template <class Make>
Run for_float(std::string_view type, Make make) {
  if (type == "f32") return make(float{});
  return type == "f64" ? make(double{}) : nullptr;
}

// Operations on one type, with a result of that type.
template <class F>
constexpr auto kUnary = [](auto t) -> Run { return unary<F, decltype(t), decltype(t)>; };
template <class F>
constexpr auto kBinary =
    [](auto t) -> Run { return binary<F, decltype(t), decltype(t), decltype(t)>; };

inline float without_denormals(float value) {
  const bool denormal = (std::bit_cast<std::uint32_t>(value) & 0x7f800000) == 0;
  return denormal ? std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0x80000000) : value;
}

}  // namespace convoy::ptx
