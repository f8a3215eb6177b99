// SPDX-License-Identifier: MIT
#pragma once
// How a Winograd pass is cut for threads and caches: a pure function of shape and thread count.

#include <algorithm>

#include "kernels/conv2d_geometry.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_tiles.h"

namespace convoy::on_cpu::winograd {

inline std::int64_t blocks_of(std::int64_t channels) { return channels / kLine; }

// Distance between positions for `lines` lines each.
inline std::int64_t padded(std::int64_t lines) { return (lines + 1) * kLine; }

// Many tiles: threads share out blocks of tiles. Few tiles (deep layers, whose filters are larger
// than their images): threads share out blocks of 16 filters, each of which is read once. What the
// other side needs, filters or tiles, each thread transforms for itself while that fits its caches:
// it is quicker than to fetch it from another core's.
struct Cut {
  bool by_filters, own_filters;
  std::int64_t pieces, tile_block;
};

inline Cut cut(const Map& m) {
  const std::int64_t threads = thread_count();
  const bool by_filters = m.tiles() <= 256 && blocks_of(m.K) >= 4 * threads;
  const bool own_filters = by_filters || m.C * m.K <= 32768;
  // A block's transformed tiles stay in the second-level cache.
  std::int64_t tile_block = std::clamp<std::int64_t>(4096 / m.C / kLine * kLine, 16, 64);
  if (by_filters) tile_block = std::min<std::int64_t>(m.tiles(), 64);
  return {by_filters, own_filters, threads, tile_block};
}

inline Map forward_map(const Conv2dGeometry& g) {
  return {g.N, g.H, g.W, g.C, g.P, g.Q, g.K, g.pad_h, g.pad_w};
}

}  // namespace convoy::on_cpu::winograd
