// SPDX-License-Identifier: MIT
#pragma once
// Both gradients of a convolution in one launch (Conv2dBackward). Each reads all of dy and, where a
// norm stands behind the convolution, of its raw output: twice the size of the output. Launched one
// after the other they read it from memory twice, as it is larger than any cache. Here blocks of
// both run side by side (kernels/gpu/turns.cuh), and along the pixels in the same direction.
//
// The tiles are those of rungs 2, 3 and 4, so that the sums are the same.

#include "kernels/gpu/conv2d/2_implicit_gemm.cuh"
#include "kernels/gpu/conv2d/3_register_tile.cuh"
#include "kernels/gpu/conv2d/4_tensor_core.cuh"
#include "kernels/gpu/turns.cuh"

namespace convoy::CONVOY_TARGET {

// ---- rung 2 ----

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, kBlocks<Tile>)
    conv2d_backward_tiles(Conv2dBackward op, Walk g, Turns turns, float* partial, float* sums,
                          Parts parts) {
  begin_kernel();
  const Turns::Turn turn = turns.of(blockIdx.x);
  if (turn.is_second) return backward_weight_tile<T, Tile>(op.weight, g, sums, parts, turn.index);
  backward_input_tile<T, Tile>(op.input, g, partial, turn.index);
}

// One tile for both: wide, unless both have few columns.
template <class F>
void with_tile(const Conv2dBackward& op, F&& f) {
  const Conv2dGeometry& g = op.input.g;
  with_tile(max(g.C, g.K) / g.groups, f);
}

inline std::size_t conv2d_both_implicit_gemm_workspace(const Conv2dBackward& op) {
  std::int64_t count = 0;
  with_tile(op,
            [&]<class Tile>(Type<Tile>) { count = implicit_gemm_parts<Tile>(op.input.g).count; });
  return behind(conv2d_implicit_gemm_workspace(op.input)) +
         static_cast<std::size_t>(count * sums_per_part(op.input.g)) * sizeof(float);
}

template <class T>
void conv2d_both_implicit_gemm(const Conv2dBackward& op, void* workspace, const Stream& stream) {
  const Walk walk(op.input.g);
  const std::size_t of_input = conv2d_implicit_gemm_workspace(op.input);
  auto* const partial = of_input == 0 ? nullptr : static_cast<float*>(workspace);
  auto* const sums =
      reinterpret_cast<float*>(static_cast<std::byte*>(workspace) + behind(of_input));
  with_tile(op, [&]<class Tile>(Type<Tile>) {
    const std::int64_t groups = op.input.g.groups;
    const Parts parts = implicit_gemm_parts<Tile>(op.input.g);
    const Turns turns{tiles_for<Tile>(walk.inputs, walk.channels, groups),
                      tiles_for<Tile>(walk.taps_channels, walk.filters, parts.count * groups)};
    launch({.grid = turns.first + turns.second,
            .block = Tile::kThreads,
            .shared_bytes = sizeof(GradientSumStorage<Tile>),
            .stream = stream},
           conv2d_backward_tiles<T, Tile>, op, walk, turns, partial, sums, parts);
    add_parts<T>(op.weight, sums, parts.count, stream);
  });
  if (partial != nullptr) finish_gradient_sums(op.input, partial, WideTile::kM, stream);
}

// ---- rung 3 ----

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, kPatchBlocks<Tile, true>)
    conv2d_backward_patches(Conv2dBackward op, Walk g, Phases phases, Turns turns,
                            ConvolutionPacks of_input, ConvolutionPacks of_weight, float* partial,
                            float* sums, Parts parts) {
  begin_kernel();
  const Turns::Turn turn = turns.of(blockIdx.x);
  if (turn.is_second) {
    return backward_weight_patches<T, Tile, true>(op.weight, g, of_weight, sums, parts, turn.index);
  }
  backward_input_patches<T, Tile, true>(op.input, g, phases, of_input, partial, turn.index);
}

// One tile for both.
template <class F>
void with_both_patch_tile(const Conv2dBackward& op, F&& f) {
  const Conv2dGeometry& g = op.input.g;
  with_narrow_tile(max(g.C, g.K) / g.groups, f);
}

inline std::size_t conv2d_both_register_tile_workspace(const Conv2dBackward& op) {
  std::int64_t count = 0;
  with_both_patch_tile(
      op, [&]<class Tile>(Type<Tile>) { count = register_tile_parts<Tile>(op.input.g).count; });
  return behind(conv2d_register_tile_workspace(op.input)) +
         static_cast<std::size_t>(count * sums_per_part(op.input.g)) * sizeof(float);
}

template <class T>
void conv2d_both_register_tile(const Conv2dBackward& op, void* workspace, const Stream& stream) {
  const Walk walk(op.input.g);
  const Phases phases = phases_of(op.input);
  const std::size_t of_input = conv2d_register_tile_workspace(op.input);
  auto* const partial = of_input == 0 ? nullptr : static_cast<float*>(workspace);
  auto* const sums =
      reinterpret_cast<float*>(static_cast<std::byte*>(workspace) + behind(of_input));
  with_both_patch_tile(op, [&]<class Tile>(Type<Tile>) {
    const std::int64_t groups = op.input.g.groups;
    const Parts parts = register_tile_parts<Tile>(op.input.g);
    const Turns turns{tiles_for<Tile>(phases.rows(), walk.channels, groups * phases.count),
                      tiles_for<Tile>(walk.taps_channels, walk.filters, parts.count * groups)};
    launch({.grid = turns.first + turns.second,
            .block = Tile::kThreads,
            .shared_bytes = sizeof(GradientSumStorage<Tile>),
            .stream = stream},
           conv2d_backward_patches<T, Tile>, op, walk, phases, turns, packs_of<T>(op.input, walk),
           packs_of<T>(op.weight, walk), partial, sums, parts);
    add_parts<T>(op.weight, sums, parts.count, stream);
  });
  if (partial != nullptr) add_gradient_sums(op.input, partial, register_tile_tiles(phases), stream);
}

// ---- rung 4 ----

template <class Pass>
struct TensorShare {
  Pass pass;
  int splits;
  Output output;
};

template <class Tile, class OfInput, class OfWeight>
__global__ void __launch_bounds__(Tile::kThreads, kBlocksOf<Tile, OfInput>)
    conv2d_backward_tensor_tiles(TensorShare<OfInput> input, TensorShare<OfWeight> weight,
                                 Turns turns) {
  begin_kernel();
  const Turns::Turn turn = turns.of(blockIdx.x);
  if (turn.is_second) {
    return multiply_tile<Tile>(weight.pass, weight.splits, weight.output, turn.index);
  }
  multiply_tile<Tile>(input.pass, input.splits, input.output, turn.index);
}

// What a pass does by itself, in the smaller tile of the two.
struct BothTensorPlans {
  TensorPlan input, weight;
};
template <class OfInput, class OfWeight>
BothTensorPlans both_tensor_plans(const Conv2dBackward& op, const OfInput& input,
                                  const OfWeight& weight, const Device& device) {
  const auto within = [&](TileSize largest) {
    return BothTensorPlans{conv2d_tensor_plan(op.input, input, device, largest),
                           conv2d_tensor_plan(op.weight, weight, device, largest)};
  };
  const BothTensorPlans plans = within(TileSize::large);
  return plans.input.tile == plans.weight.tile ? plans : within(TileSize::small);
}

inline std::size_t conv2d_both_tensor_core_workspace(const Conv2dBackward& op,
                                                     const Device& device) {
  const auto input = conv2d_pass<F16, false>(op.input);
  const auto weight = conv2d_pass<F16, false>(op.weight);
  const auto plans = both_tensor_plans(op, input, weight, device);
  return behind(conv2d_product_workspace(op.input, input, plans.input)) +
         conv2d_product_workspace(op.weight, weight, plans.weight);
}

template <class T>
void conv2d_both_tensor_core(const Conv2dBackward& op, void* workspace, const Stream& stream) {
  const auto input = conv2d_pass<T, true>(op.input);
  const auto weight = conv2d_pass<T, true>(op.weight);
  const auto [of_input, of_weight] = both_tensor_plans(op, input, weight, stream.device);
  void* const sums = static_cast<std::byte*>(workspace) +
                     behind(conv2d_product_workspace(op.input, input, of_input));
  const Output to_input = conv2d_output(op.input, workspace), to_weight = conv2d_output(op.weight);
  with_tensor_tile<decltype(input)::kLargest>(of_input, [&]<class Tile>(Type<Tile>) {
    const Turns turns{blocks_of<Tile>(input, of_input), blocks_of<Tile>(weight, of_weight)};
    launch({.grid = turns.first + turns.second,
            .block = Tile::kThreads,
            .shared_bytes = max(shared_bytes_for<Tile>(input), shared_bytes_for<Tile>(weight)),
            .stream = stream},
           conv2d_backward_tensor_tiles<Tile, std::remove_const_t<decltype(input)>,
                                        std::remove_const_t<decltype(weight)>>,
           TensorShare{input, of_input.splits, output_of_tiles(of_input, to_input, workspace)},
           TensorShare{weight, of_weight.splits, output_of_tiles(of_weight, to_weight, sums)},
           turns);
  });
  finish_product<T>(op.input, input, of_input, to_input, workspace, stream);
  finish_product<T>(op.weight, weight, of_weight, to_weight, sums, stream);
}

}  // namespace convoy::CONVOY_TARGET
