// SPDX-License-Identifier: MIT
#pragma once
// The three passes of a convolution as kernels/gpu/tensor_product.cuh takes them: where the
// elements of the factors stand, and where a row of the result goes.

#include <utility>

#include "kernels/conv2d.h"
#include "kernels/gpu/conv2d/tensor_sources.cuh"
#include "kernels/gpu/gemm/tensor_source.cuh"
#include "kernels/gpu/tensor_product.cuh"

namespace convoy::CONVOY_TARGET {

// What the passes share: the geometry, the two factors, and the widths of their copies.
// kNormed: the factors pass through a norm on load.
template <class Element, bool kNormed>
struct ConvolutionPass {
  using T = Element;
  using OfInput = std::conditional_t<kNormed, InputNorm<T>, NoNorm>;
  using OfGradient = std::conditional_t<kNormed, GradientNorm<T>, NoNorm>;
  static constexpr bool kNorms = kNormed;
  static constexpr TileSize kLargest = TileSize::large;
  Extents g;
  int groups, images, outputs, taps_channels;  // outputs: pixels; taps_channels: R S channels
  const T *a_data, *b_data;
  int a_width, b_width;

  ConvolutionPass(const Conv2dGeometry& of, const void* a, const void* b)
      : g(of),
        groups(static_cast<int>(of.groups)),
        images(static_cast<int>(of.N)),
        outputs(images * g.P * g.Q),
        taps_channels(g.R * g.S * g.channels),
        a_data(static_cast<const T*>(a)),
        b_data(static_cast<const T*>(b)),
        a_width(kChunk),
        b_width(kChunk) {}

  TileSize largest() const { return min(a_width, b_width) == kChunk ? kLargest : TileSize::small; }
};

// x where the outputs' pixels and the taps meet.
struct InputPatches {
  Radix pixels, taps;

  InputPatches(const Extents& g, int width)
      : pixels{Divisor(g.P), Divisor(g.Q)}, taps{Divisor(g.S), Divisor(g.channels / width)} {}

  template <class Norm, class T>
  __device__ __forceinline__ Patches<T, Norm> of(const Extents& g, const T* x, int group,
                                                 int outputs, int width,
                                                 const Prologue& prologue) const {
    return {.image = x + group * g.channels,
            .height = g.H,
            .width_of_image = g.W,
            .channels = g.C,
            .corner_h = -g.pad_h,
            .corner_w = -g.pad_w,
            .step_h = g.stride_h,
            .step_w = g.stride_w,
            .tap_h = g.dilation_h,
            .tap_w = g.dilation_w,
            .pixel_count = outputs,
            .tap_count = g.R * g.S * (g.channels / width),
            .width = width,
            .pixels = pixels,
            .taps = taps,
            .first_channel = group * g.channels,
            .norm = {prologue}};
  }
};

template <class T, bool kNorms>
struct ForwardPass : ConvolutionPass<T, kNorms> {
  static constexpr Major kMajorA = Major::k, kMajorB = Major::k;
  InputPatches patches;
  Prologue prologue;

  explicit ForwardPass(const Conv2dForward& op)
      : ConvolutionPass<T, kNorms>(op.g, op.x, op.weight),
        patches(this->g, copy_width(op.x, this->g.channels)),
        prologue(op.prologue) {
    this->a_width = copy_width(op.x, this->g.channels);
    this->b_width = copy_width(op.weight, this->taps_channels);
  }
  __host__ __device__ int products() const { return this->groups; }
  __host__ __device__ int rows() const { return this->outputs; }
  __host__ __device__ int columns() const { return this->g.filters; }
  int depth() const { return this->taps_channels; }

  __device__ __forceinline__
      TensorProduct<PixelRows<T, typename ForwardPass::OfInput>, GemmSource<T>>
      product(int group) const {
    const int filters = columns(), depth = this->taps_channels;
    return {{patches.template of<typename ForwardPass::OfInput>(
                this->g, this->a_data, group, this->outputs, this->a_width, prologue)},
            gemm_source<T>(this->b_data, group, std::int64_t{filters} * depth, depth, filters,
                           depth, Major::k, this->b_width),
            rows(),
            depth,
            group};
  }
};

template <class T, bool kNorms>
struct BackwardWeightPass : ConvolutionPass<T, kNorms> {
  static constexpr Major kMajorA = Major::mn, kMajorB = Major::mn;
  InputPatches patches;
  Prologue prologue;
  GradientPrologue gradient_prologue;

  explicit BackwardWeightPass(const Conv2dBackwardWeight& op)
      : ConvolutionPass<T, kNorms>(op.g, op.dy, op.x),
        patches(this->g, copy_width(op.x, this->g.channels)),
        prologue(op.prologue),
        gradient_prologue(op.gradient_prologue) {
    this->a_width =
        min(copy_width(op.dy, this->g.filters), copy_width(gradient_prologue.raw, this->g.filters));
    this->b_width = copy_width(op.x, this->g.channels);
  }
  __host__ __device__ int products() const { return this->groups; }
  __host__ __device__ int rows() const { return this->g.filters; }
  __host__ __device__ int columns() const { return this->taps_channels; }
  int depth() const { return this->outputs; }

  const void* raw() const {
    return gradient_prologue.lines == nullptr ? nullptr : gradient_prologue.raw;
  }

  using Gradient = GemmSource<T, typename BackwardWeightPass::OfGradient>;
  __device__ __forceinline__
      TensorProduct<Gradient, TapRows<T, typename BackwardWeightPass::OfInput>>
      product(int group) const {
    const GemmSource<T> dy = gemm_source<T>(this->a_data, group, rows(), this->g.K, rows(),
                                            this->outputs, Major::mn, this->a_width);
    const Gradient a{.data = dy.data,
                     .row_step = dy.row_step,
                     .depth_step = dy.depth_step,
                     .rows = dy.rows,
                     .depths = dy.depths,
                     .width = dy.width,
                     .norm = {gradient_prologue, this->a_data},
                     .first_channel = group * rows()};
    return {a,
            {patches.template of<typename BackwardWeightPass::OfInput>(
                this->g, this->b_data, group, this->outputs, this->b_width, prologue)},
            rows(),
            this->outputs,
            group};
  }
};

// One phase of one group.
template <class T, class Norm>
struct PhaseProduct : TensorProduct<PixelRows<T, Norm>, PhaseWeights<T>> {
  __device__ int row_of_y(int m) const { return this->b.phase.pixel(m); }
};

template <class T, bool kNorms>
struct BackwardInputPass : ConvolutionPass<T, kNorms> {
  static constexpr Major kMajorA = Major::k, kMajorB = Major::mn;
  Phases phases;
  GradientPrologue prologue;
  Divisor by_filter_runs, by_filters;

  explicit BackwardInputPass(const Conv2dBackwardInput& op)
      : ConvolutionPass<T, kNorms>(op.g, op.dy, op.weight),
        phases(this->g, op.g.N),
        prologue(op.prologue),
        by_filter_runs(this->g.filters / width_of_a(op)),
        by_filters(this->g.filters) {
    this->a_width = width_of_a(op);
    this->b_width = copy_width(op.weight, this->g.channels);
  }
  int width_of_a(const Conv2dBackwardInput& op) const {
    return min(copy_width(op.dy, this->g.filters), copy_width(op.prologue.raw, this->g.filters));
  }
  __host__ __device__ int products() const { return this->groups * phases.count; }
  __host__ __device__ int rows() const { return phases.rows(); }
  __host__ __device__ int columns() const { return this->g.channels; }
  int depth() const { return phases.taps() * this->g.filters; }

  const void* raw() const { return prologue.lines == nullptr ? nullptr : prologue.raw; }

  using OfGradient = typename ConvolutionPass<T, kNorms>::OfGradient;
  __device__ __forceinline__ PhaseProduct<T, OfGradient> product(int index) const {
    const Extents& e = this->g;
    const int group = index % this->groups, number = index / this->groups;
    const Phase phase(e, phases, number);
    const Patches<T, OfGradient> a{.image = this->a_data + group * e.filters,
                                   .height = e.P,
                                   .width_of_image = e.Q,
                                   .channels = e.K,
                                   .corner_h = phase.h.corner,
                                   .corner_w = phase.w.corner,
                                   .step_h = 1,
                                   .step_w = 1,
                                   .tap_h = -phase.h.back,
                                   .tap_w = -phase.w.back,
                                   .pixel_count = phase.rows,
                                   .tap_count = phase.taps * (e.filters / this->a_width),
                                   .width = this->a_width,
                                   .pixels = phase.pixels,
                                   .taps = {phase.by_taps_w, by_filter_runs},
                                   .first_channel = group * e.filters,
                                   .norm = {prologue, this->a_data}};
    const PhaseWeights<T> b{
        .weight = this->b_data + std::int64_t{group} * e.filters * this->taps_channels,
        .channels = e.channels,
        .runs = e.channels / this->b_width,
        .width = this->b_width,
        .phase = phase,
        .filter_step = this->taps_channels,
        .depths = phase.taps * e.filters,
        .taps = {phase.by_taps_w, by_filters}};
    return {{{a}, b, phase.rows, phase.taps * e.filters, group, number}};
  }
};

}  // namespace convoy::CONVOY_TARGET
