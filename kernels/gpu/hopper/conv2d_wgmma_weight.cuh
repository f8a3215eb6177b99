// SPDX-License-Identifier: MIT
#pragma once
// The weights' gradient on conv2d's rung wgmma: filters in the rows, pixels along the depth. It is
// summed in parts.

#include "kernels/gpu/hopper/im2col_walk.cuh"
#include "kernels/gpu/hopper/wgmma_multiply.cuh"
#include "kernels/gpu/hopper/wgmma_store.cuh"

namespace convoy::CONVOY_TARGET {

// Columns are boxes of 64: channels of one tap.
struct PixelLoads {
  WalkedPixels pixels;
  TapOffsets taps;
  Divisor boxes_per_tap, taps_per_line;
  int channels;              // behind a tap
  int count, count_of_part;  // pixels; those of a part, a product of the kernel's, in whole stages

  __device__ __forceinline__ int depth(const WgmmaTile& tile) const {
    return min(count_of_part, count - tile.product * count_of_part);
  }
  __device__ __forceinline__ int tap(int box) const { return boxes_per_tap.quotient(box); }
  __device__ __forceinline__ int channel(int box) const {
    return 64 * boxes_per_tap.remainder(box);
  }

  // Where a box's sums go in a filter's gradient, and how many of them there are.
  struct Columns {
    int first, count;
  };
  __device__ __forceinline__ Columns columns(int box) const {
    if (!inside(tap(box), taps.count)) return {0, 0};
    return {tap(box) * channels + channel(box), min(channels - channel(box), 64)};
  }

  struct Box {
    int channel;
    unsigned offset_w, offset_h;
  };
  // Behind the last tap: channels that are not there, which are zeros.
  __device__ __forceinline__ Box load_box(int box) const {
    if (!inside(tap(box), taps.count)) return {channels, 0, 0};
    const int r = taps_per_line.quotient(tap(box)), s = taps_per_line.remainder(tap(box));
    return {channel(box), static_cast<unsigned>(s * taps.step_w),
            static_cast<unsigned>(r * taps.step_h)};
  }

  template <class Config>
  struct Walk {
    static constexpr int kBoxes = Config::kN / 64;
    const PixelLoads& of;
    int m, pixel, end;
    Box boxes[kBoxes];

    __device__ __forceinline__ Walk(const PixelLoads& loads, const WgmmaTile& tile)
        : of(loads),
          m(tile.m),
          pixel(tile.product * loads.count_of_part),
          end(pixel + loads.depth(tile)) {
      CONVOY_UNROLL
      for (int i = 0; i < kBoxes; ++i) boxes[i] = loads.load_box(tile.n / 64 + i);
    }
    __device__ __forceinline__ void load(typename Config::T* a, typename Config::T* b,
                                         const TensorMap& map_a, const TensorMap& map_b,
                                         Mbarrier& full) const {
      load_stage<Config::kMajorA, Config::kM>(a, map_a, full, m, pixel, 0);
      const WalkedPixels::Place at = of.pixels.place(pixel);
      CONVOY_UNROLL
      for (int i = 0; i < kBoxes; ++i) {
        tma_load_im2col(b + i * 64 * Config::kK, map_b, full, {boxes[i].channel, at.w, at.h, at.n},
                        {boxes[i].offset_w, boxes[i].offset_h});
      }
    }
    __device__ __forceinline__ bool more() const { return pixel < end; }
    __device__ __forceinline__ void next() { pixel += Config::kK; }
  };
  template <class Config>
  __device__ __forceinline__ Walk<Config> walk(const WgmmaTile& tile) const {
    return {*this, tile};
  }
};

// Sums of each part, [parts, rows, pitch].
template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    conv2d_wgmma_weight_tiles(const __grid_constant__ TensorMap a,
                              const __grid_constant__ TensorMap b, float* sums, int rows,
                              std::int64_t pitch, WgmmaShape shape, PixelLoads loads) {
  begin_kernel();
  multiply_tiles<Config, 40, 232>(
      a, b, loads, shape, [&](auto&, int consumer, auto& d, const WgmmaTile& tile) {
        store_sums<Config>(sums + tile.product * rows * pitch, rows, pitch, consumer, d, tile,
                           [&](int box) { return loads.columns(box); });
      });
}

}  // namespace convoy::CONVOY_TARGET
