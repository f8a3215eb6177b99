// SPDX-License-Identifier: MIT
// The weights' gradient on conv2d's rung wgmma: the parts of its depth, the copy engine's maps, the
// launch.
#include "kernels/gpu/hopper/conv2d_wgmma_weight.cuh"

#include "kernels/gpu/hopper/conv2d_wgmma.h"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class T>
using WeightConfig = WgmmaConfig<T, 128, Major::mn, Major::mn>;

// The product in tiles, and its depth in stages of 64 pixels.
struct WeightProduct {
  std::int64_t columns;  // with those behind a tap's last channel
  std::int64_t tiles, stages;

  explicit WeightProduct(const Conv2dGeometry& g)
      : columns(64 * g.R * g.S * std::int64_t{blocks_for(g.C, 64)}),
        tiles(tiles_for<WeightConfig<F16>>(g.K, columns, 1)),
        stages(blocks_for(g.N * g.P * g.Q, WeightConfig<F16>::kK)) {}
};

// What storing a tile's sums and adding them to the others costs, in stages, roughly.
constexpr std::int64_t kStoreStages = 12;
constexpr std::int64_t kLeastStages = 8;  // of a part

// Stages of a part: as many parts as let all multiprocessors end soonest, by shape alone.
std::int64_t stages_of_part(const WeightProduct& product, const Device& device) {
  const std::int64_t multiprocessors = multiprocessor_count(device);
  const std::int64_t most =
      max(std::int64_t{1}, min(product.stages / kLeastStages, 4 * multiprocessors / product.tiles));
  std::int64_t best = product.stages, least = INT64_MAX;
  for (std::int64_t parts = 1; parts <= most; ++parts) {
    const std::int64_t waves = (product.tiles * parts + multiprocessors - 1) / multiprocessors;
    const std::int64_t each = (product.stages + parts - 1) / parts;
    const std::int64_t cost = waves * (each + kStoreStages);
    if (cost < least) best = each, least = cost;
  }
  return best;
}

std::int64_t parts_of(const WeightProduct& product, std::int64_t stages) {
  return stages == 0 ? 0 : (product.stages + stages - 1) / stages;
}

template <class T>
void run_weight(const Conv2dBackwardWeight& op, float* parts, const Stream& stream) {
  using Config = WeightConfig<T>;
  const Conv2dGeometry& g = op.g;
  const WeightProduct product(g);
  const std::int64_t stages = stages_of_part(product, stream.device);
  const std::int64_t count = parts_of(product, stages), pixels = g.N * g.P * g.Q;
  const Im2colWalk walk = walk_of_input(g);
  const TensorMap a =
      map_of(Matrices{op.dy, op.dtype, pixels, g.K, g.K, 1, kCopyUnit}, 3, Config::kK);
  const TensorMap b = map_of_images({op.x, op.dtype, g.N, g.H, g.W, g.C}, walk, Config::kK);
  const PixelLoads loads{.pixels = pixels_of(walk, g.P, g.Q),
                         .taps = taps_of(g),
                         .boxes_per_tap = Divisor(blocks_for(g.C, 64)),
                         .taps_per_line = Divisor(g.S),
                         .channels = static_cast<int>(g.C),
                         .count = static_cast<int>(pixels),
                         .count_of_part = static_cast<int>(stages * Config::kK)};
  launch(
      persistent<Config>(product.tiles * count, stream), conv2d_wgmma_weight_tiles<Config>, a, b,
      parts, static_cast<int>(g.K), g.R * g.S * g.C,
      WgmmaShape{static_cast<int>(g.K), static_cast<int>(product.columns), static_cast<int>(count)},
      loads);
}

}  // namespace

bool conv2d_fits_wgmma(const Conv2dBackwardWeight& op) {
  return fits_copies(op.g, op.dtype, op.x, op.dy) &&
         fits_im2col(walk_of_input(op.g), farthest_w(op.g), farthest_h(op.g));
}

bool conv2d_fills_wgmma(const Conv2dBackwardWeight& op, const Device& device) {
  using Config = WeightConfig<F16>;
  const WeightProduct product(op.g);
  const std::int64_t tiles = product.tiles * conv2d_wgmma_parts(op.g, device);
  return 4 * tiles >= 3 * multiprocessor_count(device) &&
         mostly_there(op.g.weight_shape().count(), product.tiles * Config::kM * Config::kN);
}

int conv2d_wgmma_parts(const Conv2dGeometry& g, const Device& device) {
  const WeightProduct product(g);
  return static_cast<int>(parts_of(product, stages_of_part(product, device)));
}

void conv2d_wgmma(const Conv2dBackwardWeight& op, float* parts, const Stream& stream) {
  if (op.g.N == 0) return;
  if (op.dtype == DType::f16) return run_weight<F16>(op, parts, stream);
  run_weight<BF16>(op, parts, stream);
}

}  // namespace convoy::CONVOY_TARGET
