// SPDX-License-Identifier: MIT
#pragma once
// How a flat kernel walks its arrays: thread i takes pack i of 16 bytes, and each thread behind the
// last pack takes one of the elements that are left. Where an array is not aligned to 16 bytes
// there are no packs, and every thread takes one element.
//
//   template <class T>
//   __global__ void __launch_bounds__(kFlatThreads) scale_each(Flat flat, T* x, float by) {
//     for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
//       float v[N];
//       load_floats(x + first, v);
//       for (float& e : v) e *= by;
//       store_floats(x + first, v);
//     });
//   }
//   launch_flat(flat_over<T>(count, x), stream, scale_each<T>, x, 2.0f);

#include <bit>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

inline constexpr int kFlatThreads = 256;

struct Flat {
  std::int64_t count;  // elements
  std::int64_t packs;  // the first so many elements, in packs of `width`
  int width;

  unsigned blocks() const { return blocks_for(count - packs * (width - 1), kFlatThreads); }
};

// The walk over arrays of `count` elements in packs of `width`.
template <class... Pointers>
Flat flat_in_packs(int width, std::int64_t count, const Pointers*... arrays) {
  const bool aligned = (is_packed_aligned(arrays) && ...);
  return {count, aligned ? count / width : 0, width};
}
template <class T, class... Pointers>
Flat flat_over(std::int64_t count, const Pointers*... arrays) {
  return flat_in_packs(Packed<T>::kCount, count, arrays...);
}

template <class... Parameters, class... Arguments>
void launch_flat(const Flat& flat, const Stream& stream, void (*kernel)(Flat, Parameters...),
                 Arguments&&... arguments) {
  launch({.grid = flat.blocks(), .block = kFlatThreads, .stream = stream}, kernel, flat,
         std::forward<Arguments>(arguments)...);
}

template <int N>
struct Width {};

// Calls f(Width<N>, first) for the N elements that are this thread's, if any: kPack or one.
template <int kPack, class F>
__device__ __forceinline__ void for_my_packs(const Flat& flat, F&& f) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  const std::int64_t element = i + flat.packs * (kPack - 1);
  if (inside(i, flat.packs)) {
    f(Width<kPack>{}, i * kPack);
  } else if (inside(element, flat.count)) {
    f(Width<1>{}, element);
  }
}
template <class T, class F>
__device__ __forceinline__ void for_my_elements(const Flat& flat, F&& f) {
  for_my_packs<Packed<T>::kCount>(flat, f);
}

// N elements moved by one access of up to 16 bytes. The address is a multiple of their size.
template <class T, int N>
struct alignas(N * sizeof(T)) Lanes {
  T values[N];
};
template <int N, class T>
__device__ __forceinline__ Lanes<T, N> load_lanes(const T* from, Site site = Site::here()) {
  return load_vector<Lanes<T, N>>(from, site);
}
template <int N, class T>
__device__ __forceinline__ void store_lanes(T* to, const Lanes<T, N>& lanes,
                                            Site site = Site::here()) {
  store_vector(to, lanes, site);
}

// N elements on their way from memory, for a thread that asks for several runs before it uses the
// first. They come in whole words: where loads stand under conditions halves would be taken apart,
// and that waits for them.
template <class T, int N>
struct alignas(N * sizeof(T)) Fetched {
  using Word = std::conditional_t<N * sizeof(T) % 4 == 0, std::uint32_t, T>;
  Word words[N * sizeof(T) / sizeof(Word)];
};
template <int N, class T>
__device__ __forceinline__ Fetched<T, N> fetch(const T* from, Site site = Site::here()) {
  return load_vector<Fetched<T, N>>(from, site);
}

// The same, computed with as float. The word that two BF16 make is the second one's float once the
// first is cleared: an instruction less than to take it out, and shift it.
template <int N, class T>
__device__ __forceinline__ void take_floats(const Fetched<T, N>& fetched, float (&v)[N]) {
  if constexpr (std::is_same_v<T, BF16> && N % 2 == 0) {
    for (int j = 0; j < N; j += 2) {
      v[j] = std::bit_cast<float>(fetched.words[j / 2] << 16);
      v[j + 1] = std::bit_cast<float>(fetched.words[j / 2] & 0xffff0000u);
    }
  } else {
    const auto lanes = std::bit_cast<Lanes<T, N>>(fetched);
    for (int j = 0; j < N; ++j) v[j] = widen(lanes.values[j]);
  }
}
template <int N, class T>
__device__ __forceinline__ void load_floats(const T* from, float (&v)[N],
                                            Site site = Site::here()) {
  take_floats(fetch<N>(from, site), v);
}
template <int N, class T>
__device__ __forceinline__ void store_floats(T* to, const float (&v)[N], Site site = Site::here()) {
  Lanes<T, N> lanes;
  for (int j = 0; j < N; ++j) lanes.values[j] = narrow<T>(v[j]);
  store_lanes(to, lanes, site);
}

}  // namespace convoy::CONVOY_TARGET
