// SPDX-License-Identifier: MIT
// The rung wgmma of conv2d: which tile, the copy engine's maps, the launch.
#include "kernels/gpu/hopper/conv2d_wgmma.cuh"

#include "kernels/gpu/hopper/conv2d_wgmma.h"
#include "kernels/gpu/hopper/wgmma_maps.h"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// ---- what the copy engine walks over ----

struct Images {
  const void* data;
  DType dtype;
  std::int64_t N, H, W, C;
};
TensorMap map_of_images(const Images& of, const Im2colWalk& walk, int pixels) {
  return tensor_map(Im2colMapSpec{.data = of.data,
                                  .dtype = of.dtype,
                                  .extent = {of.C, of.W, of.H, of.N},
                                  .stride = {1, of.C, of.W * of.C, of.H * of.W * of.C},
                                  .walk = walk,
                                  .channels = 64,
                                  .pixels = pixels,
                                  .swizzle = Swizzle::bytes128});
}

// From the first tap of a line, or column, to its last one.
std::int64_t farthest_w(const Conv2dGeometry& g) { return (g.S - 1) * g.dilation_w; }
std::int64_t farthest_h(const Conv2dGeometry& g) { return (g.R - 1) * g.dilation_h; }

// The first tap over x.
Im2colWalk walk_of_input(const Conv2dGeometry& g) {
  return {.lower = {-g.pad_w, -g.pad_h},
          .upper = {g.pad_w - farthest_w(g), g.pad_h - farthest_h(g)},
          .step = {g.stride_w, g.stride_h}};
}

// The first tap over dy that an input pixel meets, without a stride: the last one of the filter.
Im2colWalk walk_of_gradient(const Conv2dGeometry& g) {
  return {.lower = {g.pad_w - farthest_w(g), g.pad_h - farthest_h(g)},
          .upper = {-g.pad_w, -g.pad_h}};
}

WalkedPixels pixels_of(const Im2colWalk& walk, std::int64_t height, std::int64_t width) {
  return {.split = {Divisor(height), Divisor(width)},
          .first_w = static_cast<int>(walk.lower[0]),
          .first_h = static_cast<int>(walk.lower[1]),
          .step_w = static_cast<int>(walk.step[0]),
          .step_h = static_cast<int>(walk.step[1])};
}

TapOffsets taps_of(const Conv2dGeometry& g) {
  return {.count = static_cast<int>(g.R * g.S),
          .per_line = static_cast<int>(g.S),
          .first_w = 0,
          .first_h = 0,
          .step_w = static_cast<int>(g.dilation_w),
          .step_h = static_cast<int>(g.dilation_h)};
}

TapOffsets backwards(const Conv2dGeometry& g) {
  TapOffsets taps = taps_of(g);
  taps.first_w = static_cast<int>(farthest_w(g));
  taps.first_h = static_cast<int>(farthest_h(g));
  taps.step_w = -taps.step_w;
  taps.step_h = -taps.step_h;
  return taps;
}

// Weights [K, R S, C] as a matrix of filters and channels for each tap.
TensorMap map_of_weights(const Conv2dGeometry& g, const void* weight, DType dtype, int box_rows) {
  return map_of(Matrices{weight, dtype, g.K, g.C, g.R * g.S * g.C, g.R * g.S, g.C}, 3, box_rows);
}

bool fits(const Conv2dGeometry& g, DType dtype, const void* a, const void* b) {
  const auto aligned = [](const void* data) {
    return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  };
  return (dtype == DType::f16 || dtype == DType::bf16) && g.groups == 1 && g.C % kCopyUnit == 0 &&
         g.K % kCopyUnit == 0 && aligned(a) && aligned(b);
}

// ---- forward and backward input ----

// A pass as a product: what becomes of the sums, and the factors.
struct TapProduct {
  Gemm result;
  Images images;
  Im2colWalk walk;
  TapLoads loads;
};

TapProduct product_of(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  const Im2colWalk walk = walk_of_input(g);
  Gemm result = dense_gemm(g.N * g.P * g.Q, g.K, 0, nullptr, false, nullptr, false, op.y, op.dtype);
  result.epilogue = op.epilogue;
  return {result,
          {op.x, op.dtype, g.N, g.H, g.W, g.C},
          walk,
          {pixels_of(walk, g.P, g.Q), taps_of(g), static_cast<int>(g.C)}};
}

TapProduct product_of(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  const Im2colWalk walk = walk_of_gradient(g);
  Gemm result =
      dense_gemm(g.N * g.H * g.W, g.C, 0, nullptr, false, nullptr, false, op.dx, op.dtype);
  result.accumulate = op.accumulate;
  return {result,
          {op.dy, op.dtype, g.N, g.P, g.Q, g.K},
          walk,
          {pixels_of(walk, g.H, g.W), backwards(g), static_cast<int>(g.K)}};
}

template <class Config>
int tiles_of(const Gemm& result) {
  return static_cast<int>(tiles_for<Config>(result.M, result.N, 1));
}

// Two blocks never share a multiprocessor: each takes most of its memory.
template <class Config>
LaunchConfig persistent(int tiles, const Stream& stream) {
  return {.grid = static_cast<unsigned>(min(tiles, multiprocessor_count(stream.device))),
          .block = Config::kThreads,
          .shared_bytes = sizeof(typename Config::Storage),
          .stream = stream};
}

template <class Config, class Op>
void run_config(const Op& op, const TapProduct& product, const Stream& stream) {
  const Gemm& result = product.result;
  const bool staged = takes_staged(result);
  const TensorMap a = map_of_images(product.images, product.walk, Config::kM);
  const TensorMap b = map_of_weights(op.g, op.weight, op.dtype,
                                     Config::kMajorB == Major::k ? Config::kN : Config::kK);
  launch(persistent<Config>(tiles_of<Config>(result), stream), conv2d_wgmma_tiles<Config>, a, b,
         staged ? result_map(result) : a, result,
         WgmmaShape{static_cast<int>(result.M), static_cast<int>(result.N), 1}, product.loads,
         staged);
}

// The widest tile that the columns fill reads least per product, if there are enough of them.
template <class T, Major kMajorB, class Op>
void run_type(const Op& op, const Stream& stream) {
  const TapProduct product = product_of(op);
  const Gemm& result = product.result;
  using Wide = WgmmaConfig<T, 256, Major::k, kMajorB>;
  if (result.N <= 64) {
    return run_config<WgmmaConfig<T, 64, Major::k, kMajorB>>(op, product, stream);
  }
  if (result.N > 128 && tiles_of<Wide>(result) >= multiprocessor_count(stream.device)) {
    return run_config<Wide>(op, product, stream);
  }
  run_config<WgmmaConfig<T, 128, Major::k, kMajorB>>(op, product, stream);
}

template <Major kMajorB, class Op>
void run_product(const Op& op, const Stream& stream) {
  if (op.g.N == 0) return;
  if (op.dtype == DType::f16) return run_type<F16, kMajorB>(op, stream);
  run_type<BF16, kMajorB>(op, stream);
}

// Rung 4 reaches about three fifths of wgmma's rate: so much of a product must not be padding.
bool mostly_there(std::int64_t extent, std::int64_t padded) { return 5 * extent >= 3 * padded; }

bool fills(const TapProduct& product, const Device& device) {
  using Narrow = WgmmaConfig<F16, 64, Major::k, Major::k>;
  using Square = WgmmaConfig<F16, 128, Major::k, Major::k>;
  const Gemm& result = product.result;
  const int tiles = result.N <= 64 ? tiles_of<Narrow>(result) : tiles_of<Square>(result);
  const std::int64_t depth = product.loads.channels;
  return tiles >= multiprocessor_count(device) &&
         mostly_there(depth, 64 * std::int64_t{blocks_for(depth, 64)});
}

// ---- backward weight ----

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
      persistent<Config>(static_cast<int>(product.tiles * count), stream),
      conv2d_wgmma_weight_tiles<Config>, a, b, parts, static_cast<int>(g.K), g.R * g.S * g.C,
      WgmmaShape{static_cast<int>(g.K), static_cast<int>(product.columns), static_cast<int>(count)},
      loads);
}

}  // namespace

bool conv2d_fits_wgmma(const Conv2dForward& op) {
  return fits(op.g, op.dtype, op.x, op.weight) &&
         fits_im2col(walk_of_input(op.g), farthest_w(op.g), farthest_h(op.g));
}
bool conv2d_fits_wgmma(const Conv2dBackwardInput& op) {
  return fits(op.g, op.dtype, op.dy, op.weight) && op.g.stride_h == 1 && op.g.stride_w == 1 &&
         fits_im2col(walk_of_gradient(op.g), farthest_w(op.g), farthest_h(op.g));
}
bool conv2d_fits_wgmma(const Conv2dBackwardWeight& op) {
  return fits(op.g, op.dtype, op.x, op.dy) &&
         fits_im2col(walk_of_input(op.g), farthest_w(op.g), farthest_h(op.g));
}

bool conv2d_fills_wgmma(const Conv2dForward& op, const Device& device) {
  return fills(product_of(op), device);
}
bool conv2d_fills_wgmma(const Conv2dBackwardInput& op, const Device& device) {
  return fills(product_of(op), device);
}
bool conv2d_fills_wgmma(const Conv2dBackwardWeight& op, const Device& device) {
  using Config = WeightConfig<F16>;
  const WeightProduct product(op.g);
  const std::int64_t tiles = product.tiles * conv2d_wgmma_parts(op.g, device);
  return 4 * tiles >= 3 * multiprocessor_count(device) &&
         mostly_there(op.g.weight_shape().count(), product.tiles * Config::kM * Config::kN);
}

void conv2d_wgmma(const Conv2dForward& op, const Stream& stream) {
  run_product<Major::k>(op, stream);
}
void conv2d_wgmma(const Conv2dBackwardInput& op, const Stream& stream) {
  run_product<Major::mn>(op, stream);
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
