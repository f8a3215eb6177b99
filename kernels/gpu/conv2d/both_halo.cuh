// SPDX-License-Identifier: MIT
#pragma once
// Both gradients by halo in one launch, as in kernels/gpu/conv2d/both_gradients.cuh: blocks of the
// two run side by side, and read dy and its norm's raw output at about the same time.

#include "kernels/gpu/conv2d/halo_weight.cuh"
#include "kernels/gpu/turns.cuh"

namespace convoy::CONVOY_TARGET {

template <class Pass>
struct HaloShare {
  Pass pass;
  HaloRoom room;
};

template <class Tile, class WeightTile, class OfInput, class OfWeight>
__global__ void __launch_bounds__(Tile::kThreads, 384 / Tile::kThreads)
    conv2d_backward_halo_tiles(HaloShare<OfInput> input, Output output, HaloShare<OfWeight> weight,
                               Turns turns) {
  begin_kernel();
  static_assert(Tile::kThreads == WeightTile::kThreads);
  const Turns::Turn turn = turns.of(blockIdx.x);
  if (turn.is_second) return halo_weight_tile<WeightTile>(weight.pass, weight.room, turn.index);
  halo_tile<Tile>(input.pass, input.room, output, turn.index);
}

// Calls f with the tiles of both. The channels are the columns of either: one is not wide beside
// the other.
template <class T, class F>
void with_both_halo_tiles(const Conv2dGeometry& g, F&& f) {
  with_halo_tile<T>(g.C / g.groups, [&]<class Tile>(Type<Tile> tile) {
    with_halo_weight_tile<T>(g, [&]<class WeightTile>(Type<WeightTile> weight_tile) {
      if constexpr ((Tile::kN > 16) == (WeightTile::kN > 16)) f(tile, weight_tile);
    });
  });
}

inline std::size_t conv2d_both_halo_workspace(const Conv2dBackward& op, const Device& device) {
  return behind(conv2d_halo_workspace(op.input)) + conv2d_halo_workspace(op.weight, device);
}

template <class T>
void conv2d_both_halo(const Conv2dBackward& op, void* workspace, const Stream& stream) {
  void* const sums = static_cast<std::byte*>(workspace) + behind(conv2d_halo_workspace(op.input));
  const Parts parts = halo_parts_of<T>(op.weight.g, stream.device);
  const auto input = halo_pass<T>(op.input);
  const auto weight = halo_pass<T>(op.weight, parts, sums);
  const Output output = conv2d_output(op.input, workspace);
  with_both_halo_tiles<T>(
      op.input.g, [&]<class Tile, class WeightTile>(Type<Tile>, Type<WeightTile>) {
        const HaloShare of_input{input, input.template room<Tile>()};
        const HaloShare of_weight{weight, weight.template room<WeightTile>()};
        const Turns turns{
            tiles_for<Tile>(input.halo.pixels, input.columns, input.groups),
            tiles_for<WeightTile>(weight.filters, weight.channels, parts.count * weight.groups)};
        launch({.grid = turns.first + turns.second,
                .block = Tile::kThreads,
                .shared_bytes = max(halo_shared_bytes<Tile>(of_input.room),
                                    halo_weight_shared_bytes<WeightTile>(of_weight.room)),
                .stream = stream},
               conv2d_backward_halo_tiles<Tile, WeightTile, std::remove_const_t<decltype(input)>,
                                          std::remove_const_t<decltype(weight)>>,
               of_input, output, of_weight, turns);
      });
  if (wants_totals(op.input)) finish_halo(op.input, output.totals, stream);
  add_splits_to<T>(conv2d_output(op.weight), sums, static_cast<int>(parts.count), stream);
}

}  // namespace convoy::CONVOY_TARGET
