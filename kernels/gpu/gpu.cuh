// SPDX-License-Identifier: MIT
#pragma once
// What every kernel file includes: the target's words (target.h) and what all kernels share.
//
//   with_dtype("pool2d", op.dtype, [&]<class T>(Type<T>) { launch({...}, pool_each<T>, ...); });
//
// Values live in memory as f32, F16 or BF16 (kernels/half.h) and are computed with as float.

#include "kernels/base.h"
#include "kernels/gpu/ptx/dependency.cuh"
#include "kernels/gpu/target.h"
#include "kernels/half.h"

namespace convoy {
// Throws an Error: "softmax: dtype expects f32, f16 or bf16, found i64".
[[noreturn]] void unsupported_dtype(const char* op, DType dtype, const char* expected);
}  // namespace convoy

namespace convoy::CONVOY_TARGET {

template <class T>
struct Type {
  using type = T;
};

// Calls f with the C++ type of a dtype that the hand-written kernels compute in.
template <class F>
void with_dtype(const char* op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(Type<float>{});
    case DType::f16:
      return f(Type<F16>{});
    case DType::bf16:
      return f(Type<BF16>{});
    default:
      unsupported_dtype(op, dtype, "f32, f16 or bf16");
  }
}

// Blocks of `per_block` threads, or elements, that cover `count`.
__host__ __device__ inline unsigned blocks_for(std::int64_t count, std::int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

// ---- numbers: memory's format and float ----

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(BF16 x) { return to_float(x); }
__device__ __forceinline__ float widen(F16 x) {
  if constexpr (kSim) return to_float(x);
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

// Rounds to nearest even.
template <class T>
__device__ __forceinline__ T narrow(float x);
template <>
__device__ __forceinline__ float narrow<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ F16 narrow<F16>(float x) {
  if constexpr (kSim) return from_float<F16>(x);
  F16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
template <>
__device__ __forceinline__ BF16 narrow<BF16>(float x) {
  if constexpr (kSim) return from_float<BF16>(x);
  BF16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

// Elements of T or, as the gradients of half parameters are kept in it, of f32.
template <class T>
struct Results {
  void* data;
  bool in_f32;

  __device__ __forceinline__ void put(std::int64_t i, float value, bool accumulate) const {
    if (in_f32) return put_as<float>(i, value, accumulate);
    put_as<T>(i, value, accumulate);
  }

 private:
  template <class As>
  __device__ __forceinline__ void put_as(std::int64_t i, float value, bool accumulate) const {
    As& place = static_cast<As*>(data)[i];
    place = narrow<As>(accumulate ? widen(place) + value : value);
  }
};

// ---- 16-byte packs ----

// As many elements as one vector access moves.
template <class T>
struct alignas(16) Packed {
  static constexpr int kCount = 16 / sizeof(T);
  T values[kCount];
};

__host__ __device__ inline bool is_packed_aligned(const void* place) {
  return reinterpret_cast<std::uintptr_t>(place) % 16 == 0;
}

// One 16-byte access; the address is a multiple of 16.
template <class T>
__device__ __forceinline__ Packed<T> load_packed(const T* from, Site site = Site::here()) {
  return load_vector<Packed<T>>(from, site);
}
template <class T>
__device__ __forceinline__ void store_packed(T* to, const Packed<T>& pack,
                                             Site site = Site::here()) {
  store_vector(to, pack, site);
}

}  // namespace convoy::CONVOY_TARGET
