// SPDX-License-Identifier: MIT
#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/conv2d_winograd.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/winograd_cut.h"
#include "kernels/cpu/winograd_tiles.h"

namespace convoy::on_cpu {
namespace {

using namespace winograd;

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
  b.du_piece = kPositions * b.du_position;
  b.v = carver.take<float>(kPositions * b.v_position * c.pieces);
  b.w = carver.take<float>(kPositions * b.w_position * c.pieces);
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

// One piece's share of the tiles, added up in its du.
void sum_piece(const Gradient& job, const Cut& c, const GradientBuffers& b, std::int64_t piece) {
  const Map& map = job.map;
  float* v = b.v + piece * kPositions * b.v_position;
  float* w = b.w + piece * kPositions * b.w_position;
  float* du = b.du + piece * b.du_piece;
  const std::int64_t first = share(map.tiles(), piece, c.pieces);
  const std::int64_t last = share(map.tiles(), piece + 1, c.pieces);
  if (first == last) std::fill(du, du + b.du_piece, 0.0f);
  for (std::int64_t begin = first; begin < last; begin += c.tile_block) {
    const std::int64_t count = std::min(c.tile_block, last - begin);
    transform_both(job, b, v, w, begin, count);
    for (std::int64_t i = 0; i < kPositions; ++i) {
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
    float* v = b.v + piece * kPositions * b.v_position;
    float* w = b.w + piece * kPositions * b.w_position;
    transform_both(job, b, v, w, 0, map.tiles());
    float* du = b.du + piece * b.du_piece;
    const std::int64_t last = share(blocks, piece + 1, c.pieces);
    for (std::int64_t block = share(blocks, piece, c.pieces); block < last; ++block) {
      const std::int64_t kb = block / c_blocks, cb = block % c_blocks;
      for (std::int64_t i = 0; i < kPositions; ++i) {
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
