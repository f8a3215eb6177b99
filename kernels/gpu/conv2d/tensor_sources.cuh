// SPDX-License-Identifier: MIT
#pragma once
// An image as a matrix: pixels along one side, taps and channels along the other. Pixel (n, i, j)
// stands at a corner of the image, tap (r, s) at a distance from the corner; where both together
// are in the padding, the element is zero.
//
//              image   corner                      distance
//   forward    x       i * stride - padding        r * dilation
//   gradient   dy      of each phase               back from the corner (phases.cuh)

#include "kernels/gpu/conv2d/phases.cuh"
#include "kernels/gpu/gemm/tensor_source.cuh"
#include "kernels/gpu/norm_line.cuh"
#include "kernels/gpu/tensor_stager.cuh"

namespace convoy::CONVOY_TARGET {

// A corner, or a distance from one: in memory, in the image, and in its channels.
struct Placement {
  std::int64_t offset;
  int h, w;
  int channel;
};
// A row's, where it begins.
template <class T>
struct Start {
  const T* from;
  int h, w;
  int channel;
};
// Outside of every image, also with another added.
__device__ __forceinline__ Placement nowhere() { return {0, -(1 << 30), -(1 << 30), 0}; }

// What kernels/prologue.h says of x and of dy. Without lines nothing is done.
template <class T>
struct InputNorm {
  static constexpr bool kExists = true, kHasRaw = false;
  using Line = NormLine;
  Prologue prologue;

  __host__ __device__ __forceinline__ bool wanted() const { return prologue.lines != nullptr; }
  __device__ __forceinline__ Line line(int channel) const { return prologue.lines[channel]; }
  __device__ __forceinline__ float operator()(const Line& line, float x, float) const {
    return rectified(normed(line, x), prologue.relu);
  }
};
template <class T>
struct GradientNorm {
  static constexpr bool kExists = true, kHasRaw = true;
  using Line = NormGradientLine;
  GradientPrologue prologue;
  const T* dy;  // raw has the same places

  __host__ __device__ __forceinline__ bool wanted() const { return prologue.lines != nullptr; }
  __device__ __forceinline__ const T* raw_of(const Run<T>& run) const {
    return static_cast<const T*>(prologue.raw) + (run.from - dy);
  }
  __device__ __forceinline__ Line line(int filter) const { return prologue.lines[filter]; }
  __device__ __forceinline__ float operator()(const Line& line, float g, float raw) const {
    return through_norm(line, g, raw);
  }
};

// (Rows past the end, pixels or taps, are not stored: their checks only keep the reads inside. The
// same goes for the rows of PhaseWeights.)
template <class T, class NormOnLoad>
struct Patches {
  using Norm = NormOnLoad;
  const T* image;                          // the group's first channel
  int height, width_of_image, channels;    // channels of all groups
  int corner_h, corner_w, step_h, step_w;  // of pixel (n, i, j): corner + i * step
  int tap_h, tap_w;                        // distance between neighbouring taps
  int pixel_count, tap_count;              // taps count runs of channels
  int width;                               // elements of a run
  Radix pixels, taps;                      // n, i, j; r, s, run
  int first_channel;
  Norm norm;

  __device__ __forceinline__ Placement place(std::int64_t n, int h, int w) const {
    return {((n * height + h) * width_of_image + w) * channels, h, w, 0};
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
    result.channel = at.last * width;
    result.offset += result.channel;
    return result;
  }
  __device__ __forceinline__ Start<T> start(const Placement& at) const {
    return {image + at.offset, at.h, at.w, first_channel + at.channel};
  }
  __device__ __forceinline__ Run<T> at(const Start<T>& row, const Placement& depth) const {
    const auto h = static_cast<unsigned>(row.h + depth.h);
    const auto w = static_cast<unsigned>(row.w + depth.w);
    const bool is_inside = inside(h, static_cast<unsigned>(height)) &&
                           inside(w, static_cast<unsigned>(width_of_image));
    return {row.from + depth.offset, is_inside, row.channel + depth.channel};
  }
};

// With a pixel in each row.
template <class T, class Norm>
struct PixelRows : Patches<T, Norm> {
  __device__ __forceinline__ Start<T> row(int i) const { return this->start(this->pixel(i)); }
  __device__ __forceinline__ Placement depth(int i) const { return this->tap(i); }
};
// With a tap and channel in each row.
template <class T, class Norm>
struct TapRows : Patches<T, Norm> {
  __device__ __forceinline__ Start<T> row(int i) const { return this->start(this->tap(i)); }
  __device__ __forceinline__ Placement depth(int i) const { return this->pixel(i); }
};

// Weights [filters, R, S, channels] with a channel in each row, and the taps of a phase and the
// filters along the depth.
template <class T>
struct PhaseWeights {
  using Norm = NoNorm;
  const T* weight;  // of the group's first filter
  int channels, runs, width;
  Phase phase;
  int filter_step;  // elements from filter to filter
  int depths;
  Radix taps;  // r, s, filter
  Norm norm = {};

  static constexpr std::int64_t kNowhere = -kChunk;  // no address, but as aligned as one

  __device__ __forceinline__ std::int64_t row(int i) const {
    return inside(i, runs) ? std::int64_t{i} * width : kNowhere;
  }
  __device__ __forceinline__ std::int64_t depth(int i) const {
    if (!inside(i, depths)) return kNowhere;
    const Index3 at = taps.split(i);
    return std::int64_t{at.last} * filter_step + phase.tap(at) * channels;
  }
  __device__ __forceinline__ Run<T> at(std::int64_t row, std::int64_t depth) const {
    return {weight + (row + depth), row >= 0 && depth >= 0};
  }
};

}  // namespace convoy::CONVOY_TARGET
