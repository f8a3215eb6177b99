// SPDX-License-Identifier: MIT
#pragma once
// conv2d 5: wgmma
// Idea     rung 4's products by the kernel of gemm's highest rung. The copy engine finds pixels by
//          itself (im2col mode): one copy brings 64 channels of a tap for 64 or 128 pixels, over
//          the ends of lines and images, and zeros for the padding.
//                            M                K                   N
//          forward           output pixels    taps, 64 channels   filters
//          backward input    input pixels     taps, 64 filters    channels
//          backward weight   filters          output pixels       taps, 64 channels
// Gain     one thread's few instructions per stage are all that addresses cost, and the multiplying
//          warps do not wait for copies.
// Limit    channels that do not fill 64 are multiplied as zeros. A strided convolution's gradient
//          to its input would take a map for each phase, and fused norms a pass over what was
//          loaded: rung 4 has both.

#include "kernels/gpu/conv2d/extents.cuh"
#include "kernels/gpu/divisor.cuh"
#include "kernels/gpu/hopper/wgmma_multiply.cuh"
#include "kernels/gpu/hopper/wgmma_store.cuh"

namespace convoy::CONVOY_TARGET {

// Where the first tap stands for a pixel of the result: pixels count along a walk
// (kernels/gpu/tensor_map.h).
struct WalkedPixels {
  Radix split;  // image, line, place in the line
  int first_w, first_h, step_w, step_h;

  struct Place {
    int w, h, n;
  };
  __device__ __forceinline__ Place place(int pixel) const {
    const Index3 at = split.split(pixel);
    return {first_w + at.last * step_w, first_h + at.middle * step_h, at.first};
  }
};

// Taps in the order of the weights, as offsets from the first one: backwards for a gradient.
struct TapOffsets {
  int count, per_line;
  int first_w, first_h, step_w, step_h;
};

// ---- forward and backward input: pixels in the rows, taps and channels along the depth ----

// Weights are (depth, columns, tap) or (columns, depth, tap), by what is a row of the product's b.
struct TapLoads {
  WalkedPixels pixels;
  TapOffsets taps;
  int channels;  // behind a tap

  __device__ __forceinline__ int depth(const WgmmaTile&) const {
    return taps.count * ((channels + 63) / 64 * 64);
  }

  template <class Config>
  struct Walk {
    const TapLoads& of;
    WalkedPixels::Place at;
    int n, channel = 0, tap = 0, in_line = 0, offset_w, offset_h;

    __device__ __forceinline__ Walk(const TapLoads& loads, const WgmmaTile& tile)
        : of(loads),
          at(loads.pixels.place(tile.m)),
          n(tile.n),
          offset_w(loads.taps.first_w),
          offset_h(loads.taps.first_h) {}

    __device__ __forceinline__ void load(typename Config::T* a, typename Config::T* b,
                                         const TensorMap& map_a, const TensorMap& map_b,
                                         Mbarrier& full) const {
      tma_load_im2col(a, map_a, full, {channel, at.w, at.h, at.n},
                      {static_cast<unsigned>(offset_w), static_cast<unsigned>(offset_h)});
      load_stage<Config::kMajorB, Config::kN>(b, map_b, full, n, channel, tap);
    }
    __device__ __forceinline__ bool more() const { return tap < of.taps.count; }
    __device__ __forceinline__ void next() {
      channel += 64;
      if (channel < of.channels) return;
      channel = 0;
      ++tap;
      offset_w += of.taps.step_w;
      if (++in_line < of.taps.per_line) return;
      in_line = 0;
      offset_w = of.taps.first_w;
      offset_h += of.taps.step_h;
    }
  };
  template <class Config>
  __device__ __forceinline__ Walk<Config> walk(const WgmmaTile& tile) const {
    return {*this, tile};
  }
};

template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    conv2d_wgmma_tiles(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                       const __grid_constant__ TensorMap c, Gemm op, WgmmaShape shape,
                       TapLoads loads, bool staged) {
  begin_kernel();
  multiply_tiles<Config, 40, 232>(a, b, loads, shape,
                                  [&](auto& s, int consumer, auto& d, const WgmmaTile& tile) {
                                    store_tile<Config>(s, consumer, d, c, op, staged, tile);
                                  });
}

// ---- backward weight: filters in the rows, pixels along the depth ----

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
