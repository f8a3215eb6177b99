// SPDX-License-Identifier: MIT
#pragma once
// Winograd's transforms over runs of tiles, blocks of 16 channels and whole panels of filters.
// Transformed values stand as [position][channel block][row][16], the form that block_product.h
// multiplies; `position` distances are a line longer than the data, so that the 16 positions of
// one value do not fall into one cache set.

#include "kernels/cpu/block_product.h"

namespace convoy::on_cpu::winograd {

inline constexpr std::int64_t kPositions = 16;  // products a tile

// A correlation with a 3 x 3 filter, stride 1: [N, H, W, C] to [N, P, Q, K]. Backward to the input
// is one too, with P and H etc. changed over and the filter flipped. C and K are multiples of 16.
struct Map {
  std::int64_t N, H, W, C, P, Q, K, pad_h, pad_w;
  std::int64_t tiles_h() const { return (P + 1) / 2; }
  std::int64_t tiles_w() const { return (Q + 1) / 2; }
  std::int64_t tiles() const { return N * tiles_h() * tiles_w(); }
};

// A run of tiles and where their values stand: value(position, block, i) of tile begin + i is at
// values + position * `position` + block * `block` + i * 16.
struct Tiles {
  const Map* map;
  std::int64_t begin, count;
  float* values;
  std::int64_t position, block;
};

// All channel blocks of the input's patches.
struct InputTiles {
  Tiles tiles;
  const float* x;
};
// One block of 16 outputs, from products to y; tiles.block is not used.
struct OutputTiles {
  Tiles tiles;
  std::int64_t k_block;
  const float* bias;  // may be null
  float* y;
  bool accumulate;
};
// All channel blocks of dy, to gradients of products.
struct OutputGradientTiles {
  Tiles tiles;
  const float* dy;
};
// One block of 16 outputs of the filters w [K, 3, 3, C]: u(position, i) is at u + position *
// `position` + i * 16, i over the channels that are summed: C, or K when flipped.
struct FilterPanel {
  const float* w;
  std::int64_t K, C, out_block;
  bool flip;  // for backward to the input
  float* u;
  std::int64_t position;
};
// Gradients of products to dw [K, 3, 3, C], 16 filters by 16 channels: du(piece, position) [16, 16]
// is at du + piece * `piece` + position * `position`; pieces are added in order.
struct FilterGradient {
  const float* du;
  std::int64_t pieces, piece, position;
  std::int64_t C, k_block, c_block;
  float* dw;
  bool accumulate;
};

void input_tiles(const InputTiles& p);
void output_tiles(const OutputTiles& p);
void output_gradient_tiles(const OutputGradientTiles& p);
void filter_panel(const FilterPanel& p);
void filter_gradient(const FilterGradient& p);

}  // namespace convoy::on_cpu::winograd
