// SPDX-License-Identifier: MIT
#pragma once
// Neighbouring pixels of an image, and those around them that their 3 x 3 taps meet, in shared
// memory once for all taps. With stride 1 and a result as large as the image, tap (r, s) of pixel m
// lies at
//
//   m + (r - 1) * dilation_h * W + (s - 1) * dilation_w
//
// counted through lines and images. So what kM neighbouring pixels meet is one span of pixels, and
// a tap is a distance in it. Where this leads over the edge of the image is the padding: those rows
// of a fragment are read from zeros.

#include "kernels/gpu/conv2d/tensor_sources.cuh"
#include "kernels/gpu/ptx/ldmatrix.cuh"
#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

// 3 x 3 taps, and as many bits.
inline constexpr int kHaloSide = 3, kHaloTaps = kHaloSide * kHaloSide;

struct Halo {
  int pixels;  // of all images
  int H, W, dilation_h, dilation_w;
  Radix places;  // image, line, column

  explicit Halo(const Extents& g, int images)
      : pixels(images * g.H * g.W),
        H(g.H),
        W(g.W),
        dilation_h(g.dilation_h),
        dilation_w(g.dilation_w),
        places{Divisor(g.H), Divisor(g.W)} {}

  // How far a tap reaches before and behind a pixel.
  __host__ __device__ int reach() const { return dilation_h * W + dilation_w; }
  // Of the taps of so many pixels.
  __host__ __device__ int span(int count) const { return count + 2 * reach(); }
  // Of a tap in the span.
  __device__ __forceinline__ int distance(int tap) const {
    return tap / kHaloSide * dilation_h * W + tap % kHaloSide * dilation_w;
  }
  // Bit 3 r + s: tap (r, s) of pixel m is in the image. None of a pixel behind the last.
  __device__ __forceinline__ unsigned taps_inside(int m) const {
    if (!inside(m, pixels)) return 0;
    const Index3 at = places.split(m);
    unsigned columns = 0, all = 0;
    for (int s = 0; s < kHaloSide; ++s) {
      if (inside(at.last + (s - 1) * dilation_w, W)) columns |= 1u << s;
    }
    for (int r = 0; r < kHaloSide; ++r) {
      if (inside(at.middle + (r - 1) * dilation_h, H)) all |= columns << (kHaloSide * r);
    }
    return all;
  }
};

// Where a span keeps a chunk of a pixel. With a chunk left free behind each pixel's two or four,
// any eight neighbours, which ldmatrix reads together, are in different banks; and a tap is the
// same distance for all of them.
template <int kChunksPerPixel>
__host__ __device__ constexpr int span_place(int line, int chunk) {
  static_assert(kChunksPerPixel % 2 == 0);
  return line * (kChunksPerPixel + 1) + chunk;
}

// Zeros in each bank.
struct ZeroRows {
  Chunk of[kChunk];

  __device__ __forceinline__ void clear() {
    if (threadIdx.x < kChunk) of[threadIdx.x] = {};
  }
};

// Shared memory: the zeros, then the stages, each a span, a place for the norm's second array, and
// the other factor.
struct HaloRoom {
  int span, raw, other, stages;  // chunks of each

  __host__ __device__ int stage() const { return span + raw + other; }
  __host__ __device__ int chunks() const { return kChunk + stages * stage(); }
};
template <int kStages>
struct HaloStages {
  const HaloRoom& room;
  Chunk* const chunks = shared<Chunk[kChunk]>();

  __device__ __forceinline__ ZeroRows& zeros() const {
    return *reinterpret_cast<ZeroRows*>(chunks);
  }
  // Of the stage that slab or tile `turn` is brought to.
  __device__ __forceinline__ Chunk* span(int turn) const { return chunks + span_at(turn); }
  // A pixel's first chunk; if it is outside of the image, zeros.
  template <int kChunksPerPixel>
  __device__ __forceinline__ const Chunk* in_span(int turn, int line, bool is_inside) const {
    return chunks + (is_inside ? span_at(turn) + span_place<kChunksPerPixel>(line, 0) : 0);
  }
  __device__ __forceinline__ Chunk* raw(int turn) const { return span(turn) + room.span; }
  __device__ __forceinline__ Chunk* other(int turn) const { return raw(turn) + room.raw; }

 private:
  __device__ __forceinline__ int span_at(int turn) const {
    return kChunk + turn % kStages * room.stage();
  }
};

// The row of a fragment that a lane brings: a pixel, in whichever tap.
struct HaloRow {
  int line;       // of the span, where the pixel meets tap 0
  unsigned taps;  // those inside of the image

  __device__ __forceinline__ bool has(int tap) const { return (taps >> tap & 1) != 0; }
  template <int kChunksPerPixel>
  __device__ __forceinline__ const Chunk* at(const Chunk* span, const ZeroRows& zeros, int tap,
                                             int distance, int chunk) const {
    const int mine = span_place<kChunksPerPixel>(line, chunk);
    return has(tap) ? &span[mine + span_place<kChunksPerPixel>(distance, 0)]
                    : &zeros.of[mine % kChunk];
  }
};

// One thread's part of bringing kChunksPerPixel chunks of `count` pixels to shared memory, from
// pixel `first` on. Pixels before the first image and behind the last are zeros.
template <class T, int kThreads, int kChunksPerPixel, class Norm>
struct SpanStager {
  const T* image;  // [pixels, groups, channels]
  int group, groups, channels;
  int pixels, first, count;
  Norm norm;

  // Eight lanes have a chunk of eight neighbours: different banks. The next eight have those
  // beside.
  static_assert(kThreads % (8 * kChunksPerPixel) == 0);
  static constexpr int kLinesPerStep = kThreads / kChunksPerPixel;
  static __device__ __forceinline__ int chunk() {
    return static_cast<int>(threadIdx.x / 8 % kChunksPerPixel);
  }
  static __device__ __forceinline__ int first_line() {
    return static_cast<int>(threadIdx.x / (8 * kChunksPerPixel) * 8 + threadIdx.x % 8);
  }

  // `channel`: the first to bring, of the group. `raw`: a place for the norm's second array.
  __device__ __forceinline__ void fetch(Chunk* span, Chunk* raw, int channel) const {
    const int mine = channel + chunk() * kOfChunk<T>;
    const bool is_channel = inside(mine, channels);
    const std::int64_t pitch = groups * channels;
    Run<T> run{image + (pitch * (first + first_line()) + of_group(mine)), false};
    for_my_lines([&](int line, int place) {
      run.is_inside =
          is_channel && inside(static_cast<unsigned>(first + line), static_cast<unsigned>(pixels));
      cp_async_if<16>(&span[place], run.from, run.is_inside);
      if constexpr (Norm::kHasRaw) {
        if (norm.wanted()) cp_async_if<16>(&raw[place], norm.raw_of(run), run.is_inside);
      }
      run.from += pitch * kLinesPerStep;
    });
  }

  // Does what is done on load to those that this thread brought. (Also to the zeros outside of the
  // images, which no tap reads.)
  __device__ __forceinline__ void finish(Chunk* span, const Chunk* raw, int channel) const {
    const int mine = channel + chunk() * kOfChunk<T>;
    if (!norm.wanted() || !inside(mine, channels)) return;
    const ChunkLines<Norm, kOfChunk<T>> lines(norm, of_group(mine));
    for_my_lines([&](int, int place) {
      const T* beside = nullptr;
      if constexpr (Norm::kHasRaw) beside = reinterpret_cast<const T*>(&raw[place]);
      norm_chunk(norm, lines, reinterpret_cast<T*>(&span[place]), beside);
    });
  }

 private:
  __device__ __forceinline__ int of_group(int channel) const { return group * channels + channel; }
  template <class F>
  __device__ __forceinline__ void for_my_lines(F f) const {
    for (int line = first_line(); inside(line, count); line += kLinesPerStep) {
      f(line, span_place<kChunksPerPixel>(line, chunk()));
    }
  }
};

}  // namespace convoy::CONVOY_TARGET
