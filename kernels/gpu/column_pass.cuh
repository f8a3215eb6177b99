// SPDX-License-Identifier: MIT
#pragma once
// Walks over [rows, channels] in packs of N channels, side by side in memory: a thread stays with
// one pack and takes kRowsPerThread rows, so that what belongs to a channel is loaded once.
//
//   with_channel_packs<T>(op.channels, [&]<int N>(Width<N>) {
//     const Passage p = passage(op.rows, op.channels, N);
//     launch({.grid = p.grid(N), .block = kPassThreads, ...}, scale_rows<T, N>, p, op);
//   }, op.x, op.y);
//   // in the kernel
//   for_my_rows<N, 4>(p, [&](std::int64_t c) { ... },
//                     [&](std::int64_t element) { return fetch<N>(x + element); },
//                     [&](const Fetched<T, N>& x, std::int64_t element) { ... });

#include <utility>

#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {

inline constexpr int kPassThreads = 256;
inline constexpr int kRowsPerThread = 16;

// `across` threads stand side by side along the channels, a power of two that the host chose for
// the number of packs.
struct Passage {
  std::int64_t rows, channels;
  int across;

  __host__ __device__ int down() const { return kPassThreads / across; }
  dim3 grid(int width) const {
    return dim3(blocks_for(rows, std::int64_t{down()} * kRowsPerThread),
                blocks_for(channels / width, across));
  }
};

inline Passage passage(std::int64_t rows, std::int64_t channels, int width) {
  int across = 1;
  while (across < 32 && across < channels / width) across *= 2;
  return {rows, channels, across};
}

// The pack of this thread, which may lie behind the last one.
__device__ __forceinline__ std::int64_t my_pack(const Passage& p) {
  return std::int64_t{blockIdx.y} * p.across + static_cast<int>(threadIdx.x) % p.across;
}

// Calls setup(channel) once and take(ask(element), element) for each row's pack. kAtOnce rows are
// asked for before the first is taken.
template <int N, int kAtOnce, class Setup, class Ask, class Take>
__device__ __forceinline__ void for_my_rows(const Passage& p, Setup setup, Ask ask, Take take) {
  const std::int64_t pack = my_pack(p);
  if (!inside(pack, p.channels / N)) return;
  setup(pack * N);
  const std::int64_t first = std::int64_t{blockIdx.x} * p.down() * kRowsPerThread +
                             static_cast<int>(threadIdx.x) / p.across;
  const auto at = [&](std::int64_t row) { return row * p.channels + pack * N; };
  for (int i = 0; i < kRowsPerThread; i += kAtOnce) {
    const std::int64_t row = first + i * p.down(), last = row + (kAtOnce - 1) * p.down();
    if (last < p.rows) {
      decltype(ask(row)) fetched[kAtOnce];
      CONVOY_UNROLL
      for (int k = 0; k < kAtOnce; ++k) fetched[k] = ask(at(row + k * p.down()));
      CONVOY_UNROLL
      for (int k = 0; k < kAtOnce; ++k) take(fetched[k], at(row + k * p.down()));
    } else {
      for (std::int64_t r = row; inside(r, p.rows); r += p.down()) take(ask(at(r)), at(r));
    }
  }
}

// A kernel of a thread per column, for what is left to do with a column's numbers. Its heading is
// __launch_bounds__(kColumnThreads), its thread's column may lie behind the last one.
inline constexpr int kColumnThreads = 256;

__device__ __forceinline__ std::int64_t my_column() {
  return std::int64_t{blockIdx.x} * kColumnThreads + threadIdx.x;
}

template <class... Parameters, class... Arguments>
void launch_per_column(std::int64_t columns, const Stream& stream, void (*kernel)(Parameters...),
                       Arguments&&... arguments) {
  launch({.grid = blocks_for(columns, kColumnThreads), .block = kColumnThreads, .stream = stream},
         kernel, std::forward<Arguments>(arguments)...);
}

// Calls f(Width<N>) with as many channels to a pack as the arrays allow; those that are null allow
// any number.
template <class T, class F, class... Pointers>
void with_channel_packs(std::int64_t channels, F&& f, const Pointers*... arrays) {
  constexpr int kPack = Packed<T>::kCount;
  if (channels % kPack == 0 && (is_packed_aligned(arrays) && ...)) return f(Width<kPack>{});
  f(Width<1>{});
}

}  // namespace convoy::CONVOY_TARGET
