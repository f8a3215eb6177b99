// SPDX-License-Identifier: MIT
#pragma once
// What the forward pass and the gradient to the input by halo (kernels/gpu/conv2d/halo.cuh) read:
// an image by spans, and the weights.

#include "kernels/gpu/conv2d/halo_span.cuh"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {

// ---- the weights: of a pass, 16 of the depth in each tap ----

// Forward: filters are columns, and neighbours in memory lie along the depth.
template <class T>
struct ForwardTaps {
  static constexpr Major kMajor = Major::k;
  const T* weight;
  int filters, channels;

  template <class Tile>
  __device__ __forceinline__ void fetch(Chunk* stage, int group, int n, int channel) const {
    const T* const of_group = weight + (group * filters * kHaloTaps * channels + channel);
    for (unsigned i = threadIdx.x; i < Tile::kWeights; i += Tile::kThreads) {
      const int row = static_cast<int>(i / Tile::kChunks),
                chunk = static_cast<int>(i % Tile::kChunks);
      const int tap = static_cast<int>(i / (Tile::kChunks * Tile::kN));
      const int filter = n + row - tap * Tile::kN;
      const bool is_inside = inside(filter, filters);
      const int at = (filter * kHaloTaps + tap) * channels + chunk * kOfChunk<T>;
      cp_async_if<16>(&stage[chunk_place<Tile::kChunks>(0, row, chunk)],
                      of_group + (is_inside ? at : 0), is_inside);
    }
  }
};
// Backward input: channels are columns, and neighbours in memory. The taps run backwards.
template <class T>
struct BackwardTaps {
  static constexpr Major kMajor = Major::mn;
  const T* weight;
  int filters, channels;

  template <class Tile>
  __device__ __forceinline__ void fetch(Chunk* stage, int group, int n, int filter) const {
    constexpr int kAcross = Tile::kN / kOfChunk<T>;
    const T* const of_slab = weight + (group * filters + filter) * kHaloTaps * channels;
    for (unsigned i = threadIdx.x; i < Tile::kWeights; i += Tile::kThreads) {
      const int row = static_cast<int>(i / kAcross), chunk = static_cast<int>(i % kAcross);
      const int back = static_cast<int>(i / (kAcross * Tile::kK)), depth = row - back * Tile::kK;
      const int channel = n + chunk * kOfChunk<T>;
      const bool is_inside = inside(channel, channels);
      const int at = (depth * kHaloTaps + kHaloTaps - 1 - back) * channels + channel;
      cp_async_if<16>(&stage[chunk_place<kAcross>(0, row, chunk)], of_slab + (is_inside ? at : 0),
                      is_inside);
    }
  }
};

// ---- passes ----

template <class Element, class NormOnLoad, template <class> class TapsOf>
struct HaloPass {
  using T = Element;
  using Norm = NormOnLoad;
  using Taps = TapsOf<T>;
  Halo halo;
  const T* image;
  Taps taps;
  int depth, columns, groups;  // depth: channels of the image in a group
  Norm norm;

  template <class Tile>
  HaloRoom room() const {
    const int span = span_place<Tile::kChunks>(halo.span(Tile::kM), 0);
    const int stages = depth > Tile::kK ? Tile::kStages : 1;
    const bool has_raw = Norm::kHasRaw && norm.wanted();
    return {span, has_raw ? span : 0, Tile::kWeights, stages};
  }
};

// Without lines the norms do nothing: the kernels are the same.
template <class T>
using HaloForward = HaloPass<T, InputNorm<T>, ForwardTaps>;
template <class T>
using HaloBackwardInput = HaloPass<T, GradientNorm<T>, BackwardTaps>;

template <class T>
HaloForward<T> halo_pass(const Conv2dForward& op) {
  const Extents g(op.g);
  return {Halo(g, static_cast<int>(op.g.N)),
          static_cast<const T*>(op.x),
          {static_cast<const T*>(op.weight), g.filters, g.channels},
          g.channels,
          g.filters,
          static_cast<int>(op.g.groups),
          {op.prologue}};
}
template <class T>
HaloBackwardInput<T> halo_pass(const Conv2dBackwardInput& op) {
  const Extents g(op.g);
  return {Halo(g, static_cast<int>(op.g.N)),
          static_cast<const T*>(op.dy),
          {static_cast<const T*>(op.weight), g.filters, g.channels},
          g.filters,
          g.channels,
          static_cast<int>(op.g.groups),
          {op.prologue, static_cast<const T*>(op.dy)}};
}

}  // namespace convoy::CONVOY_TARGET
