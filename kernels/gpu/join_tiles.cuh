// SPDX-License-Identifier: MIT
#pragma once
// What the rows of tiles have left for each channel, joined in a fixed order: there are thousands
// of them for a large batch and few channels, so the warps of a block share them out.

#include "kernels/gpu/warp.cuh"

namespace convoy::CONVOY_TARGET {

constexpr int kJoinWarps = 16;

template <class Total>
struct JoinStorage {
  Total of_warp[kJoinWarps][kWarp];
};

// The channel of this thread's lane: blocks take a warp's width of channels.
__device__ __forceinline__ std::int64_t channel_to_join() {
  return std::int64_t{blockIdx.x} * kWarp + lane_index();
}

// load(row of tiles) gives a Total of this lane's channel, and is called if `works`; the first warp
// gets the result. Every thread of the block calls.
template <class Total, class Load>
__device__ __forceinline__ Total join_tiles(std::int64_t tiles, bool works, Load load) {
  auto& s = shared<JoinStorage<Total>>();
  Total total;
  for (std::int64_t t = warp_index(); works && t < tiles; t += kJoinWarps) total.join(load(t));
  s.of_warp[warp_index()][lane_index()] = total;
  __syncthreads();
  total = s.of_warp[0][lane_index()];
  for (int w = 1; w < kJoinWarps; ++w) total.join(s.of_warp[w][lane_index()]);
  return total;
}

template <class Total, class... Parameters, class... Arguments>
void launch_join(std::int64_t channels, const Stream& stream, void (*kernel)(Parameters...),
                 Arguments&&... arguments) {
  launch({.grid = blocks_for(channels, kWarp),
          .block = kJoinWarps * kWarp,
          .shared_bytes = sizeof(JoinStorage<Total>),
          .stream = stream},
         kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace convoy::CONVOY_TARGET
