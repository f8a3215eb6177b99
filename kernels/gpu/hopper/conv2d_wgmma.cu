// SPDX-License-Identifier: MIT
// The rung wgmma of conv2d: which tile, the copy engine's maps, the launch.
#include "kernels/gpu/hopper/conv2d_wgmma.cuh"

#include "kernels/gpu/hopper/conv2d_wgmma.h"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// The first tap over dy that an input pixel meets, without a stride: the last one of the filter.
Im2colWalk walk_of_gradient(const Conv2dGeometry& g) {
  return {.lower = {g.pad_w - farthest_w(g), g.pad_h - farthest_h(g)},
          .upper = {-g.pad_w, -g.pad_h}};
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

// A pass as a product: what becomes of the sums, and the factors.
struct TapProduct {
  Gemm result;
  Images images;
  Im2colWalk walk;
  TapLoads loads;
};

Gemm result_of(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  Gemm result = dense_gemm(g.N * g.P * g.Q, g.K, 0, nullptr, false, nullptr, false, op.y, op.dtype);
  result.epilogue = op.epilogue;
  return result;
}
Gemm result_of(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  Gemm result =
      dense_gemm(g.N * g.H * g.W, g.C, 0, nullptr, false, nullptr, false, op.dx, op.dtype);
  result.accumulate = op.accumulate;
  return result;
}

TapProduct product_of(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  const Im2colWalk walk = walk_of_input(g);
  return {result_of(op),
          {op.x, op.dtype, g.N, g.H, g.W, g.C},
          walk,
          {pixels_of(walk, g.P, g.Q), taps_of(g), static_cast<int>(g.C)}};
}

TapProduct product_of(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  const Im2colWalk walk = walk_of_gradient(g);
  return {result_of(op),
          {op.dy, op.dtype, g.N, g.P, g.Q, g.K},
          walk,
          {pixels_of(walk, g.H, g.W), backwards(g), static_cast<int>(g.K)}};
}

template <class Config>
int tiles_of(const Gemm& result) {
  return static_cast<int>(tiles_for<Config>(result.M, result.N, 1));
}

template <class Config, class Op>
void run_config(const Op& op, const TapProduct& product, float* totals, const Stream& stream) {
  const Gemm& result = product.result;
  const TensorMap a = map_of_images(product.images, product.walk, Config::kM);
  const TensorMap b = map_of_weights(op.g, op.weight, op.dtype,
                                     Config::kMajorB == Major::k ? Config::kN : Config::kK);
  launch(persistent<Config>(tiles_of<Config>(result), stream), conv2d_wgmma_tiles<Config>, a, b,
         result_map(result), result,
         WgmmaShape{static_cast<int>(result.M), static_cast<int>(result.N), 1}, product.loads,
         wants_statistics(result) ? totals : nullptr);
}

// The widest tile that the columns fill reads least per product, if there are enough of them.
template <class T, Major kMajorB, class Op>
void run_type(const Op& op, float* totals, const Stream& stream) {
  const TapProduct product = product_of(op);
  const Gemm& result = product.result;
  using Wide = WgmmaConfig<T, 256, Major::k, kMajorB>;
  if (result.N <= 64) {
    return run_config<WgmmaConfig<T, 64, Major::k, kMajorB>>(op, product, totals, stream);
  }
  if (result.N > 128 && tiles_of<Wide>(result) >= multiprocessor_count(stream.device)) {
    return run_config<Wide>(op, product, totals, stream);
  }
  run_config<WgmmaConfig<T, 128, Major::k, kMajorB>>(op, product, totals, stream);
}

template <Major kMajorB, class Op>
void run_product(const Op& op, float* totals, const Stream& stream) {
  if (op.g.N == 0) return;
  if (op.dtype == DType::f16) return run_type<F16, kMajorB>(op, totals, stream);
  run_type<BF16, kMajorB>(op, totals, stream);
}

bool fills(const TapProduct& product, const Device& device) {
  using Narrow = WgmmaConfig<F16, 64, Major::k, Major::k>;
  using Square = WgmmaConfig<F16, 128, Major::k, Major::k>;
  const Gemm& result = product.result;
  const int tiles = result.N <= 64 ? tiles_of<Narrow>(result) : tiles_of<Square>(result);
  const std::int64_t depth = product.loads.channels;
  return tiles >= multiprocessor_count(device) &&
         mostly_there(depth, 64 * std::int64_t{blocks_for(depth, 64)});
}

}  // namespace

bool conv2d_fits_wgmma(const Conv2dForward& op) {
  return fits_copies(op.g, op.dtype, op.x, op.weight) &&
         fits_im2col(walk_of_input(op.g), farthest_w(op.g), farthest_h(op.g)) &&
         op.prologue.lines == nullptr && takes_staged(result_of(op));
}
bool conv2d_fits_wgmma(const Conv2dBackwardInput& op) {
  return fits_copies(op.g, op.dtype, op.dy, op.weight) && op.g.stride_h == 1 &&
         op.g.stride_w == 1 &&
         fits_im2col(walk_of_gradient(op.g), farthest_w(op.g), farthest_h(op.g)) &&
         takes_staged(result_of(op));
}

bool conv2d_fills_wgmma(const Conv2dForward& op, const Device& device) {
  return fills(product_of(op), device);
}
bool conv2d_fills_wgmma(const Conv2dBackwardInput& op, const Device& device) {
  return fills(product_of(op), device);
}

std::size_t conv2d_wgmma_workspace(const Conv2dForward& op) {
  return statistics_bytes(result_of(op));
}
void conv2d_wgmma(const Conv2dForward& op, float* totals, const Stream& stream) {
  run_product<Major::k>(op, totals, stream);
}
void conv2d_wgmma(const Conv2dBackwardInput& op, const Stream& stream) {
  run_product<Major::mn>(op, nullptr, stream);
}

}  // namespace convoy::CONVOY_TARGET
