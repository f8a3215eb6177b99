// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_winograd.h"

#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_cut.h"
#include "kernels/cpu/winograd_tiles.h"

namespace convoy::on_cpu {
namespace {

using namespace winograd;

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
  b.v = carver.take<float>(kPositions * b.v_position * c.pieces);
  b.u = carver.take<float>(kPositions * b.u_position * (c.own_filters ? c.pieces : 1));
  b.m = carver.take<float>(kPositions * b.m_position * c.pieces);
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
  for (std::int64_t i = 0; i < kPositions; ++i) {
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
    float* v = b.v + piece * kPositions * b.v_position;
    float* m = b.m + piece * kPositions * b.m_position;
    float* u = b.u + (c.own_filters ? piece * kPositions * b.u_position : 0);
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
    float* v = b.v + piece * kPositions * b.v_position;
    input_tiles({{&map, 0, map.tiles(), v, b.v_position, b.v_block}, job.x});
    float* u = b.u + piece * kPositions * b.u_position;
    float* m = b.m + piece * kPositions * b.m_position;
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
       static_cast<const float*>(op.epilogue.bias), static_cast<float*>(op.y), false, false},
      workspace);
}

void conv2d_winograd(const Conv2dBackwardInput& op, void* workspace) {
  correlate(
      {backward_map(op.g), static_cast<const float*>(op.dy), static_cast<const float*>(op.weight),
       nullptr, static_cast<float*>(op.dx), true, op.accumulate},
      workspace);
}

}  // namespace convoy::on_cpu
