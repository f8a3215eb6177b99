// SPDX-License-Identifier: MIT
#include "dist/sum.h"

#include <algorithm>
#include <array>

#include "kernels/half.h"

namespace convoy::dist {
namespace {

// Wraps instead of undefined behaviour where a sum does not fit.
struct Integer {
  std::uint64_t bits;
};

float widen(float value) { return value; }
float widen(F16 value) { return to_float(value); }
float widen(BF16 value) { return to_float(value); }
std::uint64_t widen(Integer value) { return value.bits; }
void narrow(float sum, float& out) { out = sum; }
void narrow(float sum, F16& out) { out = from_float<F16>(sum); }
void narrow(float sum, BF16& out) { out = from_float<BF16>(sum); }
void narrow(std::uint64_t sum, Integer& out) { out.bits = sum; }

// Block by block, so that the sums stay in the first cache and each source is read once.
template <class T>
void sum(std::span<const void* const> sources, void* out, std::int64_t count) {
  constexpr std::int64_t kBlock = 1024;
  std::array<decltype(widen(T{})), kBlock> sums;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t length = std::min(kBlock, count - begin);
    const T* const first = static_cast<const T*>(sources[0]) + begin;
    for (std::int64_t i = 0; i < length; ++i) sums[i] = widen(first[i]);
    for (const void* source : sources.subspan(1)) {
      const T* const next = static_cast<const T*>(source) + begin;
      for (std::int64_t i = 0; i < length; ++i) sums[i] += widen(next[i]);
    }
    T* const result = static_cast<T*>(out) + begin;
    for (std::int64_t i = 0; i < length; ++i) narrow(sums[i], result[i]);
  }
}

}  // namespace

void sum_in_order(DType dtype, std::span<const void* const> sources, void* out,
                  std::int64_t count) {
  switch (dtype) {
    case DType::f32:
      return sum<float>(sources, out, count);
    case DType::f16:
      return sum<F16>(sources, out, count);
    case DType::bf16:
      return sum<BF16>(sources, out, count);
    case DType::i64:
      return sum<Integer>(sources, out, count);
    default:
      fail("sum_in_order: expects f32, f16, bf16 or i64, found {}", dtype);
  }
}

}  // namespace convoy::dist
