// SPDX-License-Identifier: MIT
// Depthwise convolutions: which of the kernels of conv2d/depthwise.cuh suits, and its launch.
#include "kernels/gpu/conv2d/depthwise.cuh"
#include "kernels/gpu/conv2d/depthwise.h"
#include "kernels/gpu/conv2d/depthwise_weight.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

DepthwiseWalk walk_forward(const Conv2dGeometry& geometry) {
  const Extents g(geometry);
  const auto per_line = blocks_for(g.Q, kDepthwiseStrip);
  return {.from_h = g.H,
          .from_w = g.W,
          .from_c = g.C,
          .to_h = g.P,
          .to_w = g.Q,
          .to_c = g.K,
          .R = g.R,
          .S = g.S,
          .up_h = g.stride_h,
          .up_w = g.stride_w,
          .down_h = 1,
          .down_w = 1,
          .pad_h = g.pad_h,
          .pad_w = g.pad_w,
          .dilation_h = g.dilation_h,
          .dilation_w = g.dilation_w,
          .flip = false,
          .filters = g.filters,
          .filters_inside = false,
          .by_down_h = Divisor(1),
          .by_down_w = Divisor(1),
          .strip = {Divisor(g.P), Divisor(per_line)},
          .strips = static_cast<int>(geometry.N * g.P * per_line)};
}

DepthwiseWalk walk_backward(const Conv2dGeometry& geometry) {
  const Extents g(geometry);
  const auto per_line = blocks_for(g.W, kDepthwiseStrip);
  return {.from_h = g.P,
          .from_w = g.Q,
          .from_c = g.K,
          .to_h = g.H,
          .to_w = g.W,
          .to_c = g.C,
          .R = g.R,
          .S = g.S,
          .up_h = 1,
          .up_w = 1,
          .down_h = g.stride_h,
          .down_w = g.stride_w,
          .pad_h = g.dilation_h * (g.R - 1) - g.pad_h,
          .pad_w = g.dilation_w * (g.S - 1) - g.pad_w,
          .dilation_h = g.dilation_h,
          .dilation_w = g.dilation_w,
          .flip = true,
          .filters = g.filters,
          .filters_inside = true,
          .by_down_h = Divisor(g.stride_h),
          .by_down_w = Divisor(g.stride_w),
          .strip = {Divisor(g.H), Divisor(per_line)},
          .strips = static_cast<int>(geometry.N * g.H * per_line)};
}

// Calls f(taps of a line, or 0; channels of a pack).
template <class F>
void with_window(bool packed, int stride_w, int dilation_w, int S, F&& f) {
  constexpr auto pack = std::integral_constant<int, kDepthwisePack>{};
  if (!packed) return f(std::integral_constant<int, 0>{}, std::integral_constant<int, 1>{});
  const bool dense = stride_w == 1 && dilation_w == 1;
  if (dense && S == 3) return f(std::integral_constant<int, 3>{}, pack);
  if (dense && S == 5) return f(std::integral_constant<int, 5>{}, pack);
  if (dense && S == 7) return f(std::integral_constant<int, 7>{}, pack);
  f(std::integral_constant<int, 0>{}, pack);
}

template <class T, class... Arrays>
bool takes_channel_packs(const Conv2dGeometry& g, const Arrays*... arrays) {
  constexpr std::uintptr_t kBytes = kDepthwisePack * sizeof(T);
  return g.K == g.C && g.C % kDepthwisePack == 0 &&
         ((reinterpret_cast<std::uintptr_t>(arrays) | ...) % kBytes) == 0;
}

template <class T>
void gather(DepthwiseWalk d, bool packed, const void* from, const void* weight,
            const Epilogue& epilogue, void* to, bool accumulate, const Stream& stream) {
  with_window(packed, d.up_w * d.down_w, d.dilation_w, d.S, [&](auto taps, auto pack) {
    for (d.packs = 1; d.packs < kWarp && d.packs * pack < d.to_c;) d.packs *= 2;
    d.channel_blocks = static_cast<int>(blocks_for(d.to_c, d.packs * pack));
    // Blocks stay for several rounds, so that taps are staged for more than one strip each.
    const auto rounds = static_cast<int>(blocks_for(d.strips, kDepthwiseThreads / d.packs));
    const int wanted = 16 * multiprocessor_count(stream.device) / d.channel_blocks;
    launch({.grid = static_cast<unsigned>(d.channel_blocks * min(rounds, max(wanted, 1))),
            .block = kDepthwiseThreads,
            .shared_bytes = sizeof(DepthwiseStorage),
            .stream = stream},
           conv2d_depthwise_strip_per_thread<T, decltype(taps)::value, decltype(pack)::value>, d,
           d.inner(), static_cast<const T*>(from), static_cast<const T*>(weight), epilogue,
           static_cast<T*>(to), accumulate);
  });
}

// What a kernel for the weights' gradient is compiled for.
template <bool kWindow, int kTaps, int kPack>
struct WeightWay {
  static constexpr bool window = kWindow;
  static constexpr int taps = kTaps, pack = kPack;
};
template <class F>
void with_weight_way(const Conv2dBackwardWeight& op, F&& f) {
  const Conv2dGeometry& g = op.g;
  with_dtype("conv2d", op.dtype, [&]<class T>(Type<T>) {
    const bool packed = takes_channel_packs<T>(g, op.x, op.dy);
    with_window(packed, static_cast<int>(g.stride_w), static_cast<int>(g.dilation_w),
                static_cast<int>(g.S), [&](auto taps, auto pack) {
                  constexpr int kAll = decltype(taps)::value, kPart = 4;
                  using Way =
                      WeightWay<(kAll > 0), (kAll > 0 ? kAll : kPart), decltype(pack)::value>;
                  f(Type<T>{}, Way{});
                });
  });
}

}  // namespace

bool conv2d_fits_depthwise(const Conv2dGeometry& g) {
  return g.groups == g.C && g.S <= kDepthwiseTaps && conv2d_fits_implicit_gemm(g);
}

void conv2d_depthwise(const Conv2dForward& op, void*, const Stream& stream) {
  with_dtype("conv2d", op.dtype, [&]<class T>(Type<T>) {
    const bool packed =
        takes_channel_packs<T>(op.g, op.x, op.epilogue.bias, op.epilogue.residual, op.y);
    gather<T>(walk_forward(op.g), packed, op.x, op.weight, op.epilogue, op.y, false, stream);
  });
}

void conv2d_depthwise(const Conv2dBackwardInput& op, void*, const Stream& stream) {
  with_dtype("conv2d", op.dtype, [&]<class T>(Type<T>) {
    gather<T>(walk_backward(op.g), takes_channel_packs<T>(op.g, op.dy, op.dx), op.dy, op.weight,
              Epilogue{}, op.dx, op.accumulate, stream);
  });
}

// Enough blocks for a large GPU, by the shape alone; eight lines of outputs at least.
Parts conv2d_depthwise_parts(const Conv2dGeometry& g) {
  constexpr std::int64_t kWantedBlocks = 512, kLines = 8;
  const std::int64_t blocks = blocks_for(g.K, kWarp * kDepthwisePack);
  return cut(g.N * g.P, max(kWantedBlocks / blocks, std::int64_t{1}), kLines);
}

void conv2d_depthwise(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  const Parts parts = conv2d_depthwise_parts(op.g);
  auto* sums = static_cast<float*>(workspace);
  with_weight_way(op, [&]<class T, class Way>(Type<T>, Way) {
    const DepthwiseWeightWalk walk(op.g, Way::pack, Way::taps);
    launch({.grid = static_cast<unsigned>(walk.channel_blocks * walk.tap_blocks * parts.count),
            .block = static_cast<unsigned>(walk.packs * walk.lines * walk.slots),
            .shared_bytes = sizeof(DepthwiseWeightStorage<Way::taps, Way::pack>),
            .stream = stream},
           conv2d_depthwise_taps_per_thread_and_part<T, Way::window, Way::taps, Way::pack>, op,
           walk, sums, parts);
  });
}

}  // namespace convoy::CONVOY_TARGET
