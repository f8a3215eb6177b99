// SPDX-License-Identifier: MIT
#pragma once
// gemm 6: wgmma
// Idea     four warps multiply 64 x kN x 16 with one instruction that reads both factors from
//          shared memory and goes on by itself. Of a block's three warpgroups (four warps each) one
//          only loads: a single thread of it has the copy engine fill a ring of stages. The others
//          multiply. A block stays on its multiprocessor, and takes tile after tile.
// Gain     the loads run ahead of the products, and no thread spends registers or instructions on
//          addresses; the next tile loads while this one is stored.
// Limit    blocks do not share what they load: clusters with multicast would.

#include "kernels/gpu/hopper/wgmma_multiply.cuh"
#include "kernels/gpu/hopper/wgmma_store.cuh"

namespace convoy::CONVOY_TARGET {

struct GemmLoads {
  int K;
  bool a_steps, b_steps;  // from product to product; otherwise one serves the whole batch

  __device__ __forceinline__ int depth(const WgmmaTile&) const { return K; }

  template <class Config>
  struct Walk {
    const GemmLoads& of;
    const WgmmaTile& tile;
    int of_a, of_b, k = 0;

    __device__ __forceinline__ Walk(const GemmLoads& loads, const WgmmaTile& at)
        : of(loads),
          tile(at),
          of_a(loads.a_steps ? at.product : 0),
          of_b(loads.b_steps ? at.product : 0) {}

    __device__ __forceinline__ void load(typename Config::T* a, typename Config::T* b,
                                         const TensorMap& map_a, const TensorMap& map_b,
                                         Mbarrier& full) const {
      load_stage<Config::kMajorA, Config::kM>(a, map_a, full, tile.m, k, of_a);
      load_stage<Config::kMajorB, Config::kN>(b, map_b, full, tile.n, k, of_b);
    }
    __device__ __forceinline__ bool more() const { return k < of.K; }
    __device__ __forceinline__ void next() { k += Config::kK; }
  };
  template <class Config>
  __device__ __forceinline__ Walk<Config> walk(const WgmmaTile& tile) const {
    return {*this, tile};
  }
};

template <class Config>
__global__ void __launch_bounds__(Config::kThreads, 1)
    gemm_wgmma_tiles(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                     const __grid_constant__ TensorMap c, Gemm op, WgmmaShape shape,
                     GemmLoads loads, WgmmaResult result) {
  begin_kernel();
  // Registers of a thread that loads and of one that multiplies: 128 * 24 + 256 * 240 < 64K.
  multiply_tiles<Config, 24, 240>(a, b, loads, shape,
                                  [&](auto& s, int consumer, auto& d, const WgmmaTile& tile) {
                                    store_tile<Config>(s, consumer, d, c, op, result, tile);
                                  });
}

}  // namespace convoy::CONVOY_TARGET
