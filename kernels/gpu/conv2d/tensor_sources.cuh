// SPDX-License-Identifier: MIT
#pragma once
// An image as a matrix: pixels along one side, taps and channels along the other. Pixel (n, i, j)
// stands at a corner of the image, tap (r, s) at a distance from the corner; where both together
// are in the padding, the element is zero.
//
//              image   corner                      distance
//   forward    x       i * stride - padding        r * dilation
//   gradient   dy      of each phase, below        back from the corner
//
// The gradient of an input pixel comes from the taps that hit an output there: with a stride, only
// every so many of them. Input pixels whose coordinates leave the same remainders by the strides
// are a phase, and meet the same taps: a phase is a convolution of dy without stride.

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/divisor.cuh"
#include "kernels/gpu/tensor_tile.cuh"

namespace convoy::CONVOY_TARGET {

// What is added to a corner or to a distance: where it is in memory, and where in the image.
struct Placement {
  std::int64_t offset;
  int h, w;
};
// Outside of every image, also with another added.
__device__ __forceinline__ Placement nowhere() { return {0, -(1 << 30), -(1 << 30)}; }

// (Rows past the end, pixels or taps, are not stored: their checks only keep the reads inside. The
// same goes for the rows of PhaseWeights.)
template <class T>
struct Patches {
  const T* image;                          // the group's first channel
  int height, width_of_image, channels;    // channels of all groups
  int corner_h, corner_w, step_h, step_w;  // of pixel (n, i, j): corner + i * step
  int tap_h, tap_w;                        // distance between neighbouring taps
  int pixel_count, tap_count;              // taps count runs of channels
  int width;                               // elements of a run
  Radix pixels, taps;                      // n, i, j; r, s, run

  __device__ __forceinline__ Placement place(std::int64_t n, int h, int w) const {
    return {((n * height + h) * width_of_image + w) * channels, h, w};
  }
  __device__ __forceinline__ Placement pixel(int i) const {
    if (!inside(i, pixel_count)) return nowhere();
    const Index3 at = pixels.split(i);
    return place(at.first, corner_h + at.middle * step_h, corner_w + at.last * step_w);
  }
  __device__ __forceinline__ Placement tap(int i) const {
    if (!inside(i, tap_count)) return nowhere();
    const Index3 at = taps.split(i);
    Placement result = place(0, at.first * tap_h, at.middle * tap_w);
    result.offset += at.last * width;
    return result;
  }
  __device__ __forceinline__ Run<T> meet(const Placement& a, const Placement& b) const {
    const bool is_inside = inside(a.h + b.h, height) && inside(a.w + b.w, width_of_image);
    return {is_inside ? image + (a.offset + b.offset) : image, is_inside};
  }
};

// With a pixel in each row.
template <class T>
struct PixelRows : Patches<T> {
  __device__ __forceinline__ Placement row(int i) const { return this->pixel(i); }
  __device__ __forceinline__ Placement depth(int i) const { return this->tap(i); }
  __device__ __forceinline__ Run<T> at(const Placement& row, const Placement& depth) const {
    return this->meet(row, depth);
  }
};
// With a tap and channel in each row.
template <class T>
struct TapRows : Patches<T> {
  __device__ __forceinline__ Placement row(int i) const { return this->tap(i); }
  __device__ __forceinline__ Placement depth(int i) const { return this->pixel(i); }
  __device__ __forceinline__ Run<T> at(const Placement& row, const Placement& depth) const {
    return this->meet(row, depth);
  }
};

// One direction of a phase: input coordinates phase + stride * i, which tap first + j * every meets
// at output coordinate corner + i - j * back.
struct PhaseLine {
  int extent;        // input coordinates
  int first, every;  // taps
  int taps;          // how many of them; may be none
  int corner, back;

  // `every` is stride / gcd(stride, dilation).
  __device__ PhaseLine(int phase, int inputs, int kernel, int stride, int padding, int dilation,
                       int every_tap)
      : extent((inputs - phase + stride - 1) / stride),
        first(0),
        every(every_tap),
        back(every_tap * dilation / stride) {
    while (first < every && (phase + padding - first * dilation) % stride != 0) ++first;
    taps = first < min(every, kernel) ? (kernel - first + every - 1) / every : 0;
    corner = (phase + padding - first * dilation) / stride;
  }
};

// Weights [filters, R, S, channels] with a channel in each row, and the taps of a phase and the
// filters along the depth.
template <class T>
struct PhaseWeights {
  const T* weight;  // of the group's first filter
  int channels, runs, width;
  int R_first, R_every, S_first, S_every, S;
  int filter_step;  // elements from filter to filter
  int depths;
  Radix taps;  // r, s, filter

  static constexpr std::int64_t kNowhere = -1;

  __device__ __forceinline__ std::int64_t row(int i) const {
    return inside(i, runs) ? std::int64_t{i} * width : kNowhere;
  }
  __device__ __forceinline__ std::int64_t depth(int i) const {
    if (!inside(i, depths)) return kNowhere;
    const Index3 at = taps.split(i);
    const int tap = (R_first + at.first * R_every) * S + S_first + at.middle * S_every;
    return std::int64_t{at.last} * filter_step + tap * channels;
  }
  __device__ __forceinline__ Run<T> at(std::int64_t row, std::int64_t depth) const {
    const bool is_inside = row >= 0 && depth >= 0;
    return {is_inside ? weight + (row + depth) : weight, is_inside};
  }
};

}  // namespace convoy::CONVOY_TARGET
