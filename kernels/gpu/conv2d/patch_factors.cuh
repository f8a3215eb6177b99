// SPDX-License-Identifier: MIT
#pragma once
// The factors of a convolution's three products, as kernels/gpu/patch.cuh takes them: quads of x,
// of dy and of the weights, and what a norm makes of the first two once they have arrived.

#include "kernels/gpu/conv2d/phases.cuh"
#include "kernels/gpu/conv2d/walk.cuh"
#include "kernels/gpu/norm_line.cuh"
#include "kernels/gpu/patch.cuh"

namespace convoy::CONVOY_TARGET {

// ---- what is done on load ----
//
// A quad on its way is Held. take() begins the loads, of a whole quad or of element j; what is not
// taken stays zero. finish() has channel(j) say whose the elements are: some channel, for those
// that were not taken.

template <class T>
struct AsStored {
  using Held = Quad<T>;
  template <class... Ignored>
  __device__ __forceinline__ explicit AsStored(const Ignored&...) {}

  __device__ __forceinline__ void take(Held& to, const T* from) const {
    to = load_lanes<kQuad>(from);
  }
  __device__ __forceinline__ void take(Held& to, int j, const T* from) const {
    to.values[j] = *from;
  }
  template <class Channel>
  __device__ __forceinline__ void finish(const Held& held, Channel, float (&v)[kQuad]) const {
    widen_quad(held, v);
  }
};

// Prologue (kernels/prologue.h). The padding stays zero.
template <class T>
struct NormedInput {
  struct Held {
    Quad<T> x{};
    unsigned taken = 0;  // a bit for each element
  };
  Prologue prologue;

  __device__ __forceinline__ void take(Held& to, const T* from) const {
    to.x = load_lanes<kQuad>(from);
    to.taken = 15;
  }
  __device__ __forceinline__ void take(Held& to, int j, const T* from) const {
    to.x.values[j] = *from;
    to.taken |= 1u << j;
  }
  template <class Channel>
  __device__ __forceinline__ void finish(const Held& held, Channel channel,
                                         float (&v)[kQuad]) const {
    widen_quad(held.x, v);
    if (prologue.lines == nullptr) return;
    for (int j = 0; j < kQuad; ++j) {
      const float x = normed_as_stored<T>(prologue.lines[channel(j)], v[j], prologue.relu);
      if ((held.taken >> j & 1) != 0) v[j] = x;
    }
  }
};

// GradientPrologue, which reads a second array.
template <class T>
struct NormedGradient {
  struct Held {
    Quad<T> dy{}, raw{};
    unsigned taken = 0;
  };
  GradientPrologue prologue;
  const T* dy;

  __device__ __forceinline__ const T* raw(const T* from) const {
    return static_cast<const T*>(prologue.raw) + (from - dy);
  }
  __device__ __forceinline__ void take(Held& to, const T* from) const {
    to.dy = load_lanes<kQuad>(from);
    if (prologue.lines != nullptr) to.raw = load_lanes<kQuad>(raw(from));
    to.taken = 15;
  }
  __device__ __forceinline__ void take(Held& to, int j, const T* from) const {
    to.dy.values[j] = *from;
    if (prologue.lines != nullptr) to.raw.values[j] = *raw(from);
    to.taken |= 1u << j;
  }
  template <class Channel>
  __device__ __forceinline__ void finish(const Held& held, Channel channel,
                                         float (&v)[kQuad]) const {
    widen_quad(held.dy, v);
    if (prologue.lines == nullptr) return;
    for (int j = 0; j < kQuad; ++j) {
      const float x = widen(held.raw.values[j]);
      const float g = widen(narrow<T>(through_norm(prologue.lines[channel(j)], v[j], x)));
      if ((held.taken >> j & 1) != 0) v[j] = g;
    }
  }
};

// ---- x and dy where pixels meet taps ----

// find(pixel, tap) says where, or null for a zero. Quads go along channels, which are the fastest
// part of a tap. kTapsAlongK: rows are pixels and k counts taps; otherwise the other way round.
template <class T, bool kTapsAlongK, class Find, class OnLoad>
struct GatherFactor {
  using Held = typename OnLoad::Held;
  static constexpr bool along_k = kTapsAlongK;
  int first;         // row of the tile
  int pixels, taps;  // how many there are
  Radix pixel, tap;
  bool packed;        // channels come in whole quads, each an aligned access
  int first_channel;  // of the group
  Find find;
  OnLoad on_load;

  __device__ __forceinline__ int tap_of(int row, int k) const { return along_k ? k : first + row; }

  __device__ __forceinline__ Held fetch(int row, int k) const {
    const int p = along_k ? first + row : k, t = tap_of(row, k);
    // Outside of all branches: a thread's quads have the one or the other in common, and those that
    // do not change from slab to slab are found once.
    const Index3 at = pixel.split(p), first_tap = tap.split(t);
    Held held{};
    if (!inside(p, pixels)) return held;
    if (packed) {
      const T* from = inside(t / kQuad, taps / kQuad) ? find(at, first_tap) : nullptr;
      if (from != nullptr) on_load.take(held, from);
      return held;
    }
    for (int j = 0; j < kQuad; ++j) {
      const T* from = inside(t + j, taps) ? find(at, tap.split(t + j)) : nullptr;
      if (from != nullptr) on_load.take(held, j, from);
    }
    return held;
  }
  __device__ __forceinline__ void finish(const Held& held, int row, int k,
                                         float (&v)[kQuad]) const {
    const int t = tap_of(row, k), channel = first_channel + tap.last.remainder(t);
    on_load.finish(
        held,
        [&](int j) { return packed ? channel + j : first_channel + tap.last.remainder(t + j); }, v);
  }
};

// The value of x that output pixel (n, p, q) meets at tap (r, s) in channel c of the group.
template <class T>
struct FindInput {
  const T* x;  // of the group
  const Walk& g;

  __device__ __forceinline__ const T* operator()(Index3 pixel, Index3 tap) const {
    const int h = pixel.middle * g.stride_h - g.pad_h + tap.first * g.dilation_h;
    const int w = pixel.last * g.stride_w - g.pad_w + tap.middle * g.dilation_w;
    if (!inside(h, g.H) || !inside(w, g.W)) return nullptr;
    return x + std::int64_t{(pixel.first * g.H + h) * g.W + w} * g.C + tap.last;
  }
};

// The value of dy in filter k that meets a phase's pixel (n, i, j) at its tap (r, s).
template <class T>
struct FindOutput {
  const T* dy;  // of the group
  const Walk& g;
  const Phase& phase;

  __device__ __forceinline__ const T* operator()(Index3 pixel, Index3 tap) const {
    const int p = phase.h.corner + pixel.middle - tap.first * phase.h.back;
    const int q = phase.w.corner + pixel.last - tap.middle * phase.w.back;
    if (!inside(p, g.P) || !inside(q, g.Q)) return nullptr;
    return dy + std::int64_t{(pixel.first * g.P + p) * g.Q + q} * g.K + tap.last;
  }
};

// dy as the weights' gradient takes it: k counts the pixels, rows are filters.
template <class T, class OnLoad>
struct PixelFactor {
  using Held = typename OnLoad::Held;
  static constexpr bool along_k = false;
  const T* first;    // of the group, at the tile's first filter
  int pitch;         // from pixel to pixel
  int rows, depth;   // filters from there to the last; pixels
  int first_filter;  // of the tile
  bool packed;
  OnLoad on_load;

  __device__ __forceinline__ Held fetch(int row, int k) const {
    Held held{};
    if (!inside(k, depth)) return held;
    const T* from = first + std::int64_t{k} * pitch + row;
    if (packed && inside(row + kQuad - 1, rows)) {
      on_load.take(held, from);
      return held;
    }
    for (int j = 0; j < kQuad; ++j) {
      if (inside(row + j, rows)) on_load.take(held, j, from + j);
    }
    return held;
  }
  __device__ __forceinline__ void finish(const Held& held, int row, int, float (&v)[kQuad]) const {
    on_load.finish(
        held, [&](int j) { return first_filter + min(row + j, rows - 1); }, v);
  }
};

// ---- the weights ----

// Weights as backward input takes them: k counts a phase's taps, and filters; rows are channels.
template <class T>
struct FilterFactor {
  using Held = Quad<T>;
  static constexpr bool along_k = false;
  const T* first;  // of the group, at the tile's first channel
  const Walk& g;
  const Phase& phase;
  Radix tap;  // r, s, k
  int rows;   // channels from there to the last
  bool packed;

  __device__ __forceinline__ Quad<T> fetch(int row, int k) const {
    const int left = inside(k, phase.taps * g.filters) ? rows - row : 0;
    const Index3 at = tap.split(k);
    const std::int64_t of_filter = std::int64_t{at.last} * g.taps_channels;
    return load_quad(first + of_filter + phase.tap(at) * g.channels + row, left, packed);
  }
  __device__ __forceinline__ void finish(const Held& held, int, int, float (&v)[kQuad]) const {
    widen_quad(held, v);
  }
};

}  // namespace convoy::CONVOY_TARGET
