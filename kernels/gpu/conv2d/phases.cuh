// SPDX-License-Identifier: MIT
#pragma once
// The gradient of an input pixel comes from the taps that hit an output there: with a stride, only
// every so many of them. Input pixels whose coordinates leave the same remainders by the strides
// are a phase, and meet the same taps: a phase is a convolution of dy without stride, and nothing
// between the outputs is multiplied.

#include <algorithm>
#include <numeric>

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/divisor.cuh"

namespace convoy::CONVOY_TARGET {

// One direction of all phases: some have `most` coordinates or taps, the others one less.
struct DivisorOfPhase {
  int most;
  Divisor by_most, by_less;

  explicit DivisorOfPhase(int count)
      : most(count), by_most(count), by_less(std::max(count - 1, 1)) {}
  __device__ __forceinline__ Divisor of(int count) const {
    return count == most ? by_most : by_less;
  }
};

struct Phases {
  int count, images;
  int every_h, every_w;  // of the taps, those that a phase meets
  DivisorOfPhase pixels_h, pixels_w, taps_h, taps_w;

  Phases(const Extents& g, std::int64_t of_images)
      : count(g.stride_h * g.stride_w),
        images(static_cast<int>(of_images)),
        every_h(g.stride_h / std::gcd(g.stride_h, g.dilation_h)),
        every_w(g.stride_w / std::gcd(g.stride_w, g.dilation_w)),
        pixels_h((g.H - 1) / g.stride_h + 1),
        pixels_w((g.W - 1) / g.stride_w + 1),
        taps_h((g.R - 1) / every_h + 1),
        taps_w((g.S - 1) / every_w + 1) {}
  // Those of phase 0, which has the most.
  __host__ __device__ int rows() const { return images * pixels_h.most * pixels_w.most; }
  int taps() const { return taps_h.most * taps_w.most; }
  // Rows of tiles of a phase: of each as many.
  __host__ __device__ std::int64_t tiles_each(int tile_rows) const {
    return blocks_for(rows(), tile_rows);
  }
};

// One direction of a phase: input coordinates begin + stride * i, which tap first + j * every meets
// at output coordinate corner + i - j * back.
struct PhaseLine {
  int begin, stride;
  int extent;        // input coordinates
  int first, every;  // taps
  int taps;          // how many of them; may be none
  int corner, back;

  // `every_tap` is stride / gcd(stride, dilation).
  __device__ PhaseLine(int phase, int inputs, int kernel, int of_stride, int padding, int dilation,
                       int every_tap)
      : begin(phase),
        stride(of_stride),
        extent((inputs - phase + stride - 1) / stride),
        first(0),
        every(every_tap),
        back(every_tap * dilation / stride) {
    while (first < every && (phase + padding - first * dilation) % stride != 0) ++first;
    taps = first < min(every, kernel) ? (kernel - first + every - 1) / every : 0;
    corner = (phase + padding - first * dilation) / stride;
  }
};

struct Phase {
  PhaseLine h, w;
  int H, W, S;
  int rows, taps;
  Radix pixels;  // n, i, j
  Divisor by_taps_w;

  __device__ __forceinline__ Phase(const Extents& g, const Phases& phases, int index)
      : h(index / g.stride_w, g.H, g.R, g.stride_h, g.pad_h, g.dilation_h, phases.every_h),
        w(index % g.stride_w, g.W, g.S, g.stride_w, g.pad_w, g.dilation_w, phases.every_w),
        H(g.H),
        W(g.W),
        S(g.S),
        rows(phases.images * h.extent * w.extent),
        taps(h.taps * w.taps),
        pixels{phases.pixels_h.of(h.extent), phases.pixels_w.of(w.extent)},
        by_taps_w(phases.taps_w.of(w.taps)) {}

  // Where row `i` is among all pixels, and tap `at` among all taps.
  __device__ __forceinline__ int pixel(int i) const {
    const Index3 at = pixels.split(i);
    return (at.first * H + h.begin + at.middle * h.stride) * W + w.begin + at.last * w.stride;
  }
  __device__ __forceinline__ int tap(Index3 at) const {
    return (h.first + at.first * h.every) * S + w.first + at.middle * w.every;
  }
};

}  // namespace convoy::CONVOY_TARGET
