// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_winograd.h"

#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_tiles.h"

namespace convoy::on_cpu {
namespace {

using namespace winograd;

constexpr std::int64_t kPositionCount = 16;

std::int64_t blocks_of(std::int64_t channels) { return channels / kLine; }

// Distance between positions for `lines` lines each.
std::int64_t padded(std::int64_t lines) { return (lines + 1) * kLine; }

// How the work is cut. Many tiles: threads share out blocks of tiles. Few tiles (deep layers, whose
// filters are larger than their images): threads share out blocks of 16 filters, each of which is
// read once. What the other side needs, filters or tiles, each thread transforms for itself while
// that fits its caches: it is quicker than to fetch it from another core's.
struct Cut {
  bool by_filters, own_filters;
  std::int64_t pieces, tile_block;
};

Cut cut(const Map& m) {
  const std::int64_t threads = thread_count();
  const bool by_filters = m.tiles() <= 256 && blocks_of(m.K) >= 4 * threads;
  const bool own_filters = by_filters || m.C * m.K <= 32768;
  // A block's transformed tiles stay in the second-level cache.
  std::int64_t tile_block = std::clamp<std::int64_t>(4096 / m.C / kLine * kLine, 16, 64);
  if (by_filters) tile_block = std::min<std::int64_t>(m.tiles(), 64);
  return {by_filters, own_filters, threads, tile_block};
}

// The buffers of a forward-like pass; per piece ones are `pieces` times as long.
struct Buffers {
  std::int64_t v_block, v_position, u_position, m_position;
  float *v, *u, *m;
};

Buffers carve(const Map& m, const Cut& c, Carver& carver) {
  Buffers b{};
  const std::int64_t rows = c.by_filters ? m.tiles() : c.tile_block;
  b.v_block = rows * kLine;
  b.v_position = padded(blocks_of(m.C) * rows);
  b.u_position = padded(m.C * (c.by_filters ? 1 : blocks_of(m.K)));
  b.m_position = padded(c.tile_block);
  b.v = carver.take<float>(kPositionCount * b.v_position * c.pieces);
  b.u = carver.take<float>(kPositionCount * b.u_position * (c.own_filters ? c.pieces : 1));
  b.m = carver.take<float>(kPositionCount * b.m_position * c.pieces);
  return b;
}

struct Correlation {
  Map map;
  const float *x, *w, *bias;
  float* y;
  bool flip, accumulate;

  FilterPanel panel(std::int64_t k_block, float* u, std::int64_t position) const {
    const std::int64_t K = flip ? map.C : map.K, C = flip ? map.K : map.C;  // as stored
    return {w, K, C, k_block, flip, u, position};
  }
};

// Products and outputs of `count` tiles from `begin` for one block of filters. v: the tiles' first
// line; u: the block's first line.
void finish_block(const Correlation& job, const Buffers& b, const float* v, const float* u,
                  float* m, std::int64_t begin, std::int64_t count, std::int64_t k_block) {
  for (std::int64_t i = 0; i < kPositionCount; ++i) {
    multiply_rows({count, job.map.C, v + i * b.v_position, b.v_block, u + i * b.u_position,
                   m + i * b.m_position, false});
  }
  output_tiles(
      {{&job.map, begin, count, m, b.m_position, 0}, k_block, job.bias, job.y, job.accumulate});
}

void transform_filters(const Correlation& job, const Buffers& b, float* u, std::int64_t begin,
                       std::int64_t end) {
  for (std::int64_t k = begin; k < end; ++k) {
    filter_panel(job.panel(k, u + k * job.map.C * kLine, b.u_position));
  }
}

void run_by_tiles(const Correlation& job, const Cut& c, const Buffers& b) {
  const Map& map = job.map;
  const std::int64_t k_blocks = blocks_of(map.K);
  if (!c.own_filters) {
    parallel_for(k_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      transform_filters(job, b, b.u, begin, end);
    });
  }
  const std::int64_t blocks = (map.tiles() + c.tile_block - 1) / c.tile_block;
  for_each_piece(c.pieces, [&](std::int64_t piece) {
    float* v = b.v + piece * kPositionCount * b.v_position;
    float* m = b.m + piece * kPositionCount * b.m_position;
    float* u = b.u + (c.own_filters ? piece * kPositionCount * b.u_position : 0);
    if (c.own_filters) transform_filters(job, b, u, 0, k_blocks);
    const std::int64_t last = share(blocks, piece + 1, c.pieces);
    for (std::int64_t block = share(blocks, piece, c.pieces); block < last; ++block) {
      const std::int64_t begin = block * c.tile_block;
      const std::int64_t count = std::min(c.tile_block, map.tiles() - begin);
      input_tiles({{&map, begin, count, v, b.v_position, b.v_block}, job.x});
      for (std::int64_t k = 0; k < k_blocks; ++k) {
        finish_block(job, b, v, u + k * map.C * kLine, m, begin, count, k);
      }
    }
  });
}

void run_by_filters(const Correlation& job, const Cut& c, const Buffers& b) {
  const Map& map = job.map;
  for_each_piece(c.pieces, [&](std::int64_t piece) {
    float* v = b.v + piece * kPositionCount * b.v_position;
    input_tiles({{&map, 0, map.tiles(), v, b.v_position, b.v_block}, job.x});
    float* u = b.u + piece * kPositionCount * b.u_position;
    float* m = b.m + piece * kPositionCount * b.m_position;
    const std::int64_t last = share(blocks_of(map.K), piece + 1, c.pieces);
    for (std::int64_t k = share(blocks_of(map.K), piece, c.pieces); k < last; ++k) {
      filter_panel(job.panel(k, u, b.u_position));
      for (std::int64_t begin = 0; begin < map.tiles(); begin += c.tile_block) {
        const std::int64_t count = std::min(c.tile_block, map.tiles() - begin);
        finish_block(job, b, v + begin * kLine, u, m, begin, count, k);
      }
    }
  });
}

void correlate(const Correlation& job, void* workspace) {
  const Cut c = cut(job.map);
  Carver carver(workspace);
  const Buffers b = carve(job.map, c, carver);
  c.by_filters ? run_by_filters(job, c, b) : run_by_tiles(job, c, b);
}

Map forward_map(const Conv2dGeometry& g) {
  return {g.N, g.H, g.W, g.C, g.P, g.Q, g.K, g.pad_h, g.pad_w};
}
// dx is dy, padded to the full width of the filter, correlated with the flipped filter.
Map backward_map(const Conv2dGeometry& g) {
  return {g.N, g.P, g.Q, g.K, g.H, g.W, g.C, 2 - g.pad_h, 2 - g.pad_w};
}

std::size_t workspace_of(const Map& m) {
  Carver carver;
  carve(m, cut(m), carver);
  return carver.used();
}

}  // namespace

bool conv2d_winograd_fits(const Conv2dGeometry& g) {
  return g.R == 3 && g.S == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.groups == 1 && g.pad_h <= 2 && g.pad_w <= 2 && g.C % kLine == 0 &&
         g.K % kLine == 0;
}

std::size_t conv2d_winograd_workspace(const Conv2dForward& op) {
  return workspace_of(forward_map(op.g));
}
std::size_t conv2d_winograd_workspace(const Conv2dBackwardInput& op) {
  return workspace_of(backward_map(op.g));
}

void conv2d_winograd(const Conv2dForward& op, void* workspace) {
  correlate(
      {forward_map(op.g), static_cast<const float*>(op.x), static_cast<const float*>(op.weight),
       static_cast<const float*>(op.bias), static_cast<float*>(op.y), false, false},
      workspace);
}

void conv2d_winograd(const Conv2dBackwardInput& op, void* workspace) {
  correlate(
      {backward_map(op.g), static_cast<const float*>(op.dy), static_cast<const float*>(op.weight),
       nullptr, static_cast<float*>(op.dx), true, op.accumulate},
      workspace);
}

namespace {

// The gradient of the filters sums over tiles. Many tiles: each piece sums its share into a du of
// its own. Few tiles: everything is transformed first, and each 16 x 16 block of du is summed,
// transformed and stored at once, so that du never leaves the first-level cache.
struct GradientBuffers {
  std::int64_t v_block, v_position, w_block, w_position, du_position, du_piece;
  float *v, *w, *du;  // w: dy's values
};

GradientBuffers carve_gradient(const Map& m, const Cut& c, Carver& carver) {
  GradientBuffers b{};
  const std::int64_t rows = c.by_filters ? m.tiles() : c.tile_block;
  b.v_block = b.w_block = rows * kLine;
  b.v_position = padded(blocks_of(m.C) * rows);
  b.w_position = padded(blocks_of(m.K) * rows);
  b.du_position = padded(c.by_filters ? kLine : blocks_of(m.K) * m.C);
  b.du_piece = kPositionCount * b.du_position;
  b.v = carver.take<float>(kPositionCount * b.v_position * c.pieces);
  b.w = carver.take<float>(kPositionCount * b.w_position * c.pieces);
  b.du = carver.take<float>(b.du_piece * c.pieces);
  return b;
}

struct Gradient {
  Map map;
  const float *x, *dy;
  float* dw;
  bool accumulate;
};

void transform_both(const Gradient& job, const GradientBuffers& b, float* v, float* w,
                    std::int64_t begin, std::int64_t count) {
  input_tiles({{&job.map, begin, count, v, b.v_position, b.v_block}, job.x});
  output_gradient_tiles({{&job.map, begin, count, w, b.w_position, b.w_block}, job.dy});
}

// One piece's share of the tiles, added up in its du. Returns whether there were any.
void sum_piece(const Gradient& job, const Cut& c, const GradientBuffers& b, std::int64_t piece) {
  const Map& map = job.map;
  float* v = b.v + piece * kPositionCount * b.v_position;
  float* w = b.w + piece * kPositionCount * b.w_position;
  float* du = b.du + piece * b.du_piece;
  const std::int64_t first = share(map.tiles(), piece, c.pieces);
  const std::int64_t last = share(map.tiles(), piece + 1, c.pieces);
  if (first == last) std::fill(du, du + b.du_piece, 0.0f);
  for (std::int64_t begin = first; begin < last; begin += c.tile_block) {
    const std::int64_t count = std::min(c.tile_block, last - begin);
    transform_both(job, b, v, w, begin, count);
    for (std::int64_t i = 0; i < kPositionCount; ++i) {
      float* to = du + i * b.du_position;
      for (std::int64_t kb = 0; kb < blocks_of(map.K); ++kb) {
        for (std::int64_t cb = 0; cb < blocks_of(map.C); ++cb, to += kLine * kLine) {
          multiply_columns({count, w + i * b.w_position + kb * b.w_block,
                            v + i * b.v_position + cb * b.v_block, to, begin > first});
        }
      }
    }
  }
}

void gradient_by_tiles(const Gradient& job, const Cut& c, const GradientBuffers& b) {
  for_each_piece(c.pieces, [&](std::int64_t piece) { sum_piece(job, c, b, piece); });
  const std::int64_t c_blocks = blocks_of(job.map.C);
  parallel_for(blocks_of(job.map.K) * c_blocks, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      filter_gradient({b.du + i * kLine * kLine, c.pieces, b.du_piece, b.du_position, job.map.C,
                       i / c_blocks, i % c_blocks, job.dw, job.accumulate});
    }
  });
}

void gradient_by_filters(const Gradient& job, const Cut& c, const GradientBuffers& b) {
  const Map& map = job.map;
  const std::int64_t c_blocks = blocks_of(map.C), blocks = blocks_of(map.K) * c_blocks;
  for_each_piece(c.pieces, [&](std::int64_t piece) {
    float* v = b.v + piece * kPositionCount * b.v_position;
    float* w = b.w + piece * kPositionCount * b.w_position;
    transform_both(job, b, v, w, 0, map.tiles());
    float* du = b.du + piece * b.du_piece;
    const std::int64_t last = share(blocks, piece + 1, c.pieces);
    for (std::int64_t block = share(blocks, piece, c.pieces); block < last; ++block) {
      const std::int64_t kb = block / c_blocks, cb = block % c_blocks;
      for (std::int64_t i = 0; i < kPositionCount; ++i) {
        multiply_columns({map.tiles(), w + i * b.w_position + kb * b.w_block,
                          v + i * b.v_position + cb * b.v_block, du + i * b.du_position, false});
      }
      filter_gradient({du, 1, 0, b.du_position, map.C, kb, cb, job.dw, job.accumulate});
    }
  });
}

}  // namespace

std::size_t conv2d_winograd_workspace(const Conv2dBackwardWeight& op) {
  Carver carver;
  carve_gradient(forward_map(op.g), cut(forward_map(op.g)), carver);
  return carver.used();
}

void conv2d_winograd(const Conv2dBackwardWeight& op, void* workspace) {
  const Gradient job{forward_map(op.g), static_cast<const float*>(op.x),
                     static_cast<const float*>(op.dy), static_cast<float*>(op.dweight),
                     op.accumulate};
  const Cut c = cut(job.map);
  Carver carver(workspace);
  const GradientBuffers b = carve_gradient(job.map, c, carver);
  c.by_filters ? gradient_by_filters(job, c, b) : gradient_by_tiles(job, c, b);
}

}  // namespace convoy::on_cpu
