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
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kWeights; i += Tile::kThreads) {
      const int row = i / Tile::kChunks, tap = row / Tile::kN, filter = n + row % Tile::kN;
      const int at = channel + i % Tile::kChunks * kChunk;
      const bool is_inside = inside(filter, filters);
      const std::int64_t line = (std::int64_t{group} * filters + filter) * kHaloTaps + tap;
      cp_async_if<16>(&stage[chunk_place<Tile::kChunks>(0, row, i % Tile::kChunks)],
                      weight + (is_inside ? line * channels + at : 0), is_inside);
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
    constexpr int kAcross = Tile::kN / kChunk;
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kWeights; i += Tile::kThreads) {
      const int row = i / kAcross, tap = kHaloTaps - 1 - row / Tile::kK;
      const int at = filter + row % Tile::kK, channel = n + i % kAcross * kChunk;
      const bool is_inside = inside(channel, channels);
      const std::int64_t line = (std::int64_t{group} * filters + at) * kHaloTaps + tap;
      cp_async_if<16>(&stage[chunk_place<kAcross>(0, row, i % kAcross)],
                      weight + (is_inside ? line * channels + channel : 0), is_inside);
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
