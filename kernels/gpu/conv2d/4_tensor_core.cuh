// SPDX-License-Identifier: MIT
#pragma once
// conv2d 4: tensor cores
// Idea     the matrix products of rung 2, by mma: only the sources differ from gemm's
//          (kernels/gpu/tensor_product.cuh).
//                            M                K                   N
//          forward           output pixels    taps and channels   filters
//          backward input    input pixels     taps and filters    channels
//          backward weight   filters          output pixels       taps, channels
// Gain     f16 and bf16 at the tensor cores' rate, sums in f32. Copies of 16 bytes go from the
//          image to shared memory; a strided backward input multiplies no zeros between the
//          outputs.
// Limit    each chunk's address is computed by the thread that copies it. TMA's im2col mode does so
//          in hardware.

#include <numeric>
#include <utility>

#include "kernels/conv2d.h"
#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
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
  Extents g;
  int groups, images, outputs, taps_channels;  // outputs: pixels; taps_channels: R S depth
  const T *a_data, *b_data;
  int a_width, b_width;

  ConvolutionPass(const Conv2dGeometry& of, const void* a, const void* b)
      : g(of),
        groups(static_cast<int>(of.groups)),
        images(static_cast<int>(of.N)),
        outputs(images * g.P * g.Q),
        taps_channels(g.R * g.S * g.depth),
        a_data(static_cast<const T*>(a)),
        b_data(static_cast<const T*>(b)),
        a_width(kChunk),
        b_width(kChunk) {}

  bool whole_runs() const { return min(a_width, b_width) == kChunk; }
};

// x where the outputs' pixels and the taps meet.
struct InputPatches {
  Radix pixels, taps;

  InputPatches(const Extents& g, int width)
      : pixels{Divisor(g.P), Divisor(g.Q)}, taps{Divisor(g.S), Divisor(g.depth / width)} {}

  template <class Norm, class T>
  __device__ __forceinline__ Patches<T, Norm> of(const Extents& g, const T* x, int group,
                                                 int outputs, int width,
                                                 const Prologue& prologue) const {
    return {.image = x + group * g.depth,
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
            .tap_count = g.R * g.S * (g.depth / width),
            .width = width,
            .pixels = pixels,
            .taps = taps,
            .first_channel = group * g.depth,
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
        patches(this->g, copy_width(op.x, this->g.depth)),
        prologue(op.prologue) {
    this->a_width = copy_width(op.x, this->g.depth);
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
  static constexpr Major kMajorA = Major::m, kMajorB = Major::m;
  InputPatches patches;
  Prologue prologue;
  GradientPrologue gradient_prologue;

  explicit BackwardWeightPass(const Conv2dBackwardWeight& op)
      : ConvolutionPass<T, kNorms>(op.g, op.dy, op.x),
        patches(this->g, copy_width(op.x, this->g.depth)),
        prologue(op.prologue),
        gradient_prologue(op.gradient_prologue) {
    this->a_width =
        min(copy_width(op.dy, this->g.filters), copy_width(gradient_prologue.raw, this->g.filters));
    this->b_width = copy_width(op.x, this->g.depth);
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
                                            this->outputs, Major::m, this->a_width);
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
  int H, W, stride_h, stride_w, phase_h, phase_w;

  __device__ int row_of_y(int m) const {
    const Index3 at = this->a.pixels.split(m);
    return (at.first * H + phase_h + at.middle * stride_h) * W + phase_w + at.last * stride_w;
  }
};

template <class T, bool kNorms>
struct BackwardInputPass : ConvolutionPass<T, kNorms> {
  static constexpr Major kMajorA = Major::k, kMajorB = Major::m;
  int every_h, every_w;  // of the taps, those that a phase meets
  GradientPrologue prologue;
  Divisor by_filter_runs, by_filters;

  explicit BackwardInputPass(const Conv2dBackwardInput& op)
      : ConvolutionPass<T, kNorms>(op.g, op.dy, op.weight),
        every_h(this->g.stride_h / std::gcd(this->g.stride_h, this->g.dilation_h)),
        every_w(this->g.stride_w / std::gcd(this->g.stride_w, this->g.dilation_w)),
        prologue(op.prologue),
        by_filter_runs(this->g.filters / width_of_a(op)),
        by_filters(this->g.filters) {
    this->a_width = width_of_a(op);
    this->b_width = copy_width(op.weight, this->g.depth);
  }
  int width_of_a(const Conv2dBackwardInput& op) const {
    return min(copy_width(op.dy, this->g.filters), copy_width(op.prologue.raw, this->g.filters));
  }
  __host__ __device__ int phases() const { return this->g.stride_h * this->g.stride_w; }
  __host__ __device__ int products() const { return this->groups * phases(); }
  // Phase 0 has the most pixels; of the taps a phase has so many or one less.
  __host__ __device__ int rows() const {
    return this->images * ((this->g.H - 1) / this->g.stride_h + 1) *
           ((this->g.W - 1) / this->g.stride_w + 1);
  }
  __host__ __device__ int columns() const { return this->g.depth; }
  int depth() const {
    return ((this->g.R - 1) / every_h + 1) * ((this->g.S - 1) / every_w + 1) * this->g.filters;
  }

  const void* raw() const { return prologue.lines == nullptr ? nullptr : prologue.raw; }

  using OfGradient = typename ConvolutionPass<T, kNorms>::OfGradient;
  __device__ __forceinline__ PhaseProduct<T, OfGradient> product(int index) const {
    const Extents& e = this->g;
    const int group = index % this->groups, phase = index / this->groups;
    const int phase_h = phase / e.stride_w, phase_w = phase % e.stride_w;
    const PhaseLine h(phase_h, e.H, e.R, e.stride_h, e.pad_h, e.dilation_h, every_h);
    const PhaseLine w(phase_w, e.W, e.S, e.stride_w, e.pad_w, e.dilation_w, every_w);
    const int rows = this->images * h.extent * w.extent, taps = h.taps * w.taps;
    const Divisor by_taps_w(max(w.taps, 1));
    const Patches<T, OfGradient> a{.image = this->a_data + group * e.filters,
                                   .height = e.P,
                                   .width_of_image = e.Q,
                                   .channels = e.K,
                                   .corner_h = h.corner,
                                   .corner_w = w.corner,
                                   .step_h = 1,
                                   .step_w = 1,
                                   .tap_h = -h.back,
                                   .tap_w = -w.back,
                                   .pixel_count = rows,
                                   .tap_count = taps * (e.filters / this->a_width),
                                   .width = this->a_width,
                                   .pixels = {Divisor(max(h.extent, 1)), Divisor(max(w.extent, 1))},
                                   .taps = {by_taps_w, by_filter_runs},
                                   .first_channel = group * e.filters,
                                   .norm = {prologue, this->a_data}};
    const PhaseWeights<T> b{
        .weight = this->b_data + std::int64_t{group} * e.filters * this->taps_channels,
        .channels = e.depth,
        .runs = e.depth / this->b_width,
        .width = this->b_width,
        .R_first = h.first,
        .R_every = h.every,
        .S_first = w.first,
        .S_every = w.every,
        .S = e.S,
        .filter_step = this->taps_channels,
        .depths = taps * e.filters,
        .taps = {by_taps_w, by_filters}};
    return {{{a}, b, rows, taps * e.filters, group, phase},
            e.H,
            e.W,
            e.stride_h,
            e.stride_w,
            phase_h,
            phase_w};
  }
};

// ---- the bias' gradient: sums of dy's columns ----

template <class T>
struct BiasTerms {
  const T* dy;  // [pixels, filters]
  GradientPrologue prologue;

  template <int N>
  struct Pack {
    const BiasTerms& all;
    std::int64_t filter;
    __device__ Pack(const BiasTerms& terms, std::int64_t first) : all(terms), filter(first) {}
    __device__ void add(std::int64_t, std::int64_t i, LongSum (&sum)[N], LongSum (&)[N]) const {
      float v[N], raw[N];
      load_floats(all.dy + i, v);
      if (all.prologue.lines != nullptr) {
        load_floats(static_cast<const T*>(all.prologue.raw) + i, raw);
        for (int j = 0; j < N; ++j) {
          v[j] = widen(narrow<T>(through_norm(all.prologue.lines[filter + j], v[j], raw[j])));
        }
      }
      for (int j = 0; j < N; ++j) sum[j].add(v[j]);
    }
  };
};

template <class T>
__global__ void __launch_bounds__(kAddThreads)
    conv2d_finish_bias(Conv2dBackwardWeight op, const double* sums, unsigned splits) {
  const std::int64_t k = std::int64_t{blockIdx.x} * kAddThreads + threadIdx.x;
  if (!inside(k, op.g.K)) return;
  const double sum = column_total(sums, splits, 0, op.g.K, k);
  const Results<T> dbias{op.dbias, op.grad_dtype == DType::f32};
  dbias.put(k, static_cast<float>(sum), op.accumulate_bias);
}

inline RowSplits bias_splits(const Conv2dGeometry& g, const Device& device) {
  return row_splits(g.N * g.P * g.Q, g.K, device);
}

template <class T>
void conv2d_bias_gradient(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const RowSplits splits = bias_splits(op.g, stream.device);
  auto* sums = static_cast<double*>(workspace);
  const BiasTerms<T> terms{static_cast<const T*>(op.dy), op.gradient_prologue};
  const auto sum = [&]<int N>(Width<N>) {
    launch_column_sums<N>(terms, op.g.N * op.g.P * op.g.Q, op.g.K, splits, sums, stream);
  };
  with_channel_packs<T>(op.g.K, sum, op.dy, op.gradient_prologue.raw);
  launch({.grid = blocks_for(op.g.K, kAddThreads), .block = kAddThreads, .stream = stream},
         conv2d_finish_bias<T>, op, sums, splits.count);
}

// ---- where the sums go ----

inline Output conv2d_output(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  const std::size_t bytes = size_of(op.dtype);
  const std::int64_t filters = g.K / g.groups;
  const bool packs = takes_packs(op.y, bytes, filters) && takes_packs(op.bias, bytes, filters);
  return {.y = op.y,
          .in_f32 = false,
          .accumulate = false,
          .width = packs ? Output::kPack : 1,
          .bias = op.bias,
          .bias_step = filters,
          .products = g.groups,
          .rows = g.N * g.P * g.Q,
          .columns = filters,
          .pitch = g.K,
          .product_step = filters};
}

inline Output conv2d_output(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t depth = g.C / g.groups;
  const auto takes = [&](const void* place) {
    return takes_packs(place, size_of(op.dtype), depth);
  };
  const GradientEpilogue& e = op.epilogue;
  const bool packs = takes(op.dx) && takes(e.addend) && takes(e.raw) && takes(e.z);
  return {.y = op.dx,
          .in_f32 = false,
          .accumulate = op.accumulate,
          .width = packs ? Output::kPack : 1,
          .bias = nullptr,
          .bias_step = 0,
          .products = g.groups,
          .rows = g.N * g.H * g.W,
          .columns = depth,
          .pitch = g.C,
          .product_step = depth,
          .epilogue = op.epilogue};
}

inline Output conv2d_output(const Conv2dBackwardWeight& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t filters = g.K / g.groups, columns = weights_per_filter(g);
  const DType out = op.grad_dtype.value_or(op.dtype);
  return {.y = op.dweight,
          .in_f32 = out == DType::f32,
          .accumulate = op.accumulate,
          .width = takes_packs(op.dweight, size_of(out), columns) ? Output::kPack : 1,
          .bias = nullptr,
          .bias_step = 0,
          .products = g.groups,
          .rows = filters,
          .columns = columns,
          .pitch = columns,
          .product_step = filters * columns};
}

// ---- launches ----

template <class T, bool kNorms>
ForwardPass<T, kNorms> conv2d_pass(const Conv2dForward& op) {
  return ForwardPass<T, kNorms>(op);
}
template <class T, bool kNorms>
BackwardInputPass<T, kNorms> conv2d_pass(const Conv2dBackwardInput& op) {
  return BackwardInputPass<T, kNorms>(op);
}
template <class T, bool kNorms>
BackwardWeightPass<T, kNorms> conv2d_pass(const Conv2dBackwardWeight& op) {
  return BackwardWeightPass<T, kNorms>(op);
}

// Sums over the columns of a result are taken by those who have whole sums of it.
inline bool wants_totals(const Conv2dForward& op) { return op.statistics.mean != nullptr; }
inline bool wants_totals(const Conv2dBackwardInput& op) { return op.epilogue.raw != nullptr; }
inline bool wants_totals(const Conv2dBackwardWeight&) { return false; }

template <class Op, class Pass>
TensorPlan conv2d_tensor_plan(const Op& op, const Pass& pass, const Device& device) {
  return tensor_plan(pass.rows(), pass.columns(), pass.depth(), pass.products(), pass.whole_runs(),
                     !wants_totals(op), device);
}

// The rows of tiles that leave totals: of each phase as many.
template <class Pass>
std::int64_t rows_of_tiles(const Pass& pass, const TensorPlan& plan) {
  return std::int64_t{blocks_for(pass.rows(), tile_rows(plan))} * (pass.products() / pass.groups);
}

// The widths of copies do not depend on which of the half types it is.
template <class Op>
std::size_t conv2d_product_workspace(const Op& op, const Device& device) {
  const auto pass = conv2d_pass<F16, false>(op);
  const TensorPlan plan = conv2d_tensor_plan(op, pass, device);
  const Output output = conv2d_output(op);
  if (!wants_totals(op)) return tensor_product_workspace(plan, output);
  return static_cast<std::size_t>(rows_of_tiles(pass, plan) * 2 * output.pitch) * sizeof(float);
}
template <class Op>
std::size_t conv2d_tensor_core_workspace(const Op& op, const Device& device) {
  return conv2d_product_workspace(op, device);
}
// The two gradients are computed one after the other.
inline std::size_t conv2d_tensor_core_workspace(const Conv2dBackwardWeight& op,
                                                const Device& device) {
  const std::size_t weight = op.dweight == nullptr ? 0 : conv2d_product_workspace(op, device);
  return max(weight, op.dbias == nullptr ? 0 : bias_splits(op.g, device).bytes(op.g.K));
}

inline void finish_totals(const Conv2dForward& op, const float* totals, std::int64_t, int tile_rows,
                          const Stream& stream) {
  finish_statistics(op, totals, tile_rows, stream);
}
inline void finish_totals(const Conv2dBackwardInput& op, const float* totals, std::int64_t tiles,
                          int, const Stream& stream) {
  add_gradient_sums(op, totals, tiles, stream);
}
inline void finish_totals(const Conv2dBackwardWeight&, const float*, std::int64_t, int,
                          const Stream&) {}

template <class T, bool kNorms, class Op>
void run_conv2d_pass(const Op& op, void* workspace, const Stream& stream) {
  const auto pass = conv2d_pass<T, kNorms>(op);
  const TensorPlan plan = conv2d_tensor_plan(op, pass, stream.device);
  Output output = conv2d_output(op);
  if (wants_totals(op)) output.totals = static_cast<float*>(workspace);
  run_tensor_product(pass, plan, output, workspace, stream);
  if (wants_totals(op)) {
    finish_totals(op, output.totals, rows_of_tiles(pass, plan), tile_rows(plan), stream);
  }
}

inline bool norms_on_load(const Conv2dForward& op) { return op.prologue.lines != nullptr; }
inline bool norms_on_load(const Conv2dBackwardInput& op) { return op.prologue.lines != nullptr; }
inline bool norms_on_load(const Conv2dBackwardWeight& op) {
  return op.prologue.lines != nullptr || op.gradient_prologue.lines != nullptr;
}

template <class T, class Op>
void conv2d_tensor_product(const Op& op, void* workspace, const Stream& stream) {
  if (norms_on_load(op)) return run_conv2d_pass<T, true>(op, workspace, stream);
  run_conv2d_pass<T, false>(op, workspace, stream);
}
template <class T, class Op>
void conv2d_tensor_core(const Op& op, void* workspace, const Stream& stream) {
  conv2d_tensor_product<T>(op, workspace, stream);
}
template <class T>
void conv2d_tensor_core(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  if (op.dbias != nullptr) conv2d_bias_gradient<T>(op, workspace, stream);
  if (op.dweight != nullptr) conv2d_tensor_product<T>(op, workspace, stream);
}

inline bool conv2d_fits_tensor_core(const Conv2dGeometry& g, DType dtype) {
  const std::int64_t pixels = g.N * max(g.H * g.W, g.P * g.Q);
  return dtype != DType::f32 && fits_tensor_tiles(pixels, g.R * g.S * max(g.C, g.K), 0);
}

}  // namespace convoy::CONVOY_TARGET
