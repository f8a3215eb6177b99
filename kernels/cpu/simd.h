// SPDX-License-Identifier: MIT
#pragma once
// Vectors of floats for loops that the compiler does not vectorise well by itself, in two widths.
// The library is built for x86-64-v3; a function marked CONVOY_AVX512 may use 512-bit registers and
// is called only where avx512() says so. Bodies are templates over the vector type, always inlined
// into such a function:
//
//   template <class V> CONVOY_INLINE void scale(float* y, float factor) { ... }
//   CONVOY_AVX512 void scale_avx512(float* y, float f) { scale<Float16>(y, f); }
//   void scale_avx2(float* y, float f) { scale<Float8>(y, f); }

#include <cstdint>

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors only pass between functions that are inlined

#define CONVOY_INLINE [[gnu::always_inline]] inline
#if defined(__x86_64__)
#define CONVOY_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#else
#define CONVOY_AVX512
#endif

namespace convoy::on_cpu {

typedef float Float16 __attribute__((vector_size(64)));
typedef float Float8 __attribute__((vector_size(32)));

template <class V>
inline constexpr int kLanes = sizeof(V) / sizeof(float);

// Whether this processor has AVX-512. CONVOY_CPU=avx2 in the environment says no, so that the
// narrower kernels can be tested anywhere.
bool avx512();

template <class V>
CONVOY_INLINE V load(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
CONVOY_INLINE void store(float* p, const V& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

}  // namespace convoy::on_cpu
