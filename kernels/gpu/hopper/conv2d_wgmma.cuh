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

#include "kernels/gpu/hopper/im2col_walk.cuh"
#include "kernels/gpu/hopper/wgmma_multiply.cuh"
#include "kernels/gpu/hopper/wgmma_store.cuh"

namespace convoy::CONVOY_TARGET {

// ---- forward and backward input: pixels in the rows, taps and channels along the depth; the
// weights' gradient is in conv2d_wgmma_weight.cuh ----

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
                       TapLoads loads, float* totals) {
  begin_kernel();
  // As gemm's; to walk over taps takes more registers.
  multiply_tiles<Config, 40, 232>(a, b, loads, shape,
                                  [&](auto& s, int consumer, auto& d, const WgmmaTile& tile) {
                                    store_staged<Config>(s, consumer, d, c, op, totals, tile);
                                  });
}

}  // namespace convoy::CONVOY_TARGET
