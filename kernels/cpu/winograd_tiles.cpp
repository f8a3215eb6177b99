// SPDX-License-Identifier: MIT
#include "kernels/cpu/winograd_tiles.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/transpose.h"
#include "kernels/cpu/winograd.h"

namespace convoy::on_cpu::winograd {
namespace {

struct Place {
  std::int64_t n, p, q;  // of the tile's first output
};
CONVOY_INLINE Place place(const Map& m, std::int64_t tile) {
  const std::int64_t in_image = tile % (m.tiles_h() * m.tiles_w());
  return {tile / (m.tiles_h() * m.tiles_w()), in_image / m.tiles_w() * kTile,
          in_image % m.tiles_w() * kTile};
}

// The patch of a tile at the border, zeros outside the image.
void copy_patch(const Map& m, const float* image, std::int64_t h0, std::int64_t w0, float* patch) {
  for (std::int64_t i = 0; i < kPositions; ++i, patch += m.C) {
    const std::int64_t h = h0 + i / kPatch, w = w0 + i % kPatch;
    if (h >= 0 && h < m.H && w >= 0 && w < m.W) {
      std::memcpy(patch, image + (h * m.W + w) * m.C,
                  static_cast<std::size_t>(m.C) * sizeof(float));
    } else {
      std::memset(patch, 0, static_cast<std::size_t>(m.C) * sizeof(float));
    }
  }
}

template <class V>
CONVOY_INLINE void store_positions(const V (&v)[kPositions], float* to, std::int64_t position) {
#pragma GCC unroll 16
  for (int i = 0; i < kPositions; ++i) store(to + i * position, v[i]);
}

template <class V>
CONVOY_INLINE void run(const InputTiles& p) {
  const Map& m = *p.tiles.map;
  for (std::int64_t t = 0; t < p.tiles.count; ++t) {
    const Place at = place(m, p.tiles.begin + t);
    const std::int64_t h0 = at.p - m.pad_h, w0 = at.q - m.pad_w;
    const float* image = p.x + at.n * m.H * m.W * m.C;
    const bool inside = h0 >= 0 && w0 >= 0 && h0 + kPatch <= m.H && w0 + kPatch <= m.W;
    if (!inside) copy_patch(m, image, h0, w0, p.patch);
    const float* from = inside ? image + (h0 * m.W + w0) * m.C : p.patch;
    const std::int64_t row = (inside ? m.W : kPatch) * m.C;
    for (std::int64_t c = 0; c < m.C; c += kLanes<V>) {
      V d[kPositions], v[kPositions];
#pragma GCC unroll 16
      for (int i = 0; i < kPositions; ++i) {
        d[i] = load<V>(from + c + i / kPatch * row + i % kPatch * m.C);
      }
      input(d, v);
      store_positions(v, p.tiles.values + c / kLine * p.tiles.block + t * kLine + c % kLine,
                      p.tiles.position);
    }
  }
}

template <class V>
CONVOY_INLINE void run(const OutputTiles& p) {
  const Map& m = *p.tiles.map;
  for (std::int64_t t = 0; t < p.tiles.count; ++t) {
    const Place at = place(m, p.tiles.begin + t);
    float* y = p.y + ((at.n * m.P + at.p) * m.Q + at.q) * m.K + p.k_block * kLine;
    for (int lane = 0; lane < kLine; lane += kLanes<V>) {
      V product[kPositions], sum[kTile * kTile];
#pragma GCC unroll 16
      for (int i = 0; i < kPositions; ++i) {
        product[i] = load<V>(p.tiles.values + i * p.tiles.position + t * kLine + lane);
      }
      output(product, sum);
      for (int i = 0; i < kTile * kTile; ++i) {
        if (at.p + i / kTile >= m.P || at.q + i % kTile >= m.Q) continue;
        float* to = y + (i / kTile * m.Q + i % kTile) * m.K + lane;
        if (p.bias) sum[i] += load<V>(p.bias + p.k_block * kLine + lane);
        store(to, p.accumulate ? load<V>(to) + sum[i] : sum[i]);
      }
    }
  }
}

template <class V>
CONVOY_INLINE void run(const OutputGradientTiles& p) {
  const Map& m = *p.tiles.map;
  for (std::int64_t t = 0; t < p.tiles.count; ++t) {
    const Place at = place(m, p.tiles.begin + t);
    const float* dy = p.dy + ((at.n * m.P + at.p) * m.Q + at.q) * m.K;
    const bool down = at.p + 1 < m.P, right = at.q + 1 < m.Q;
    for (std::int64_t k = 0; k < m.K; k += kLanes<V>) {
      V d[kTile * kTile] = {}, v[kPositions];
      d[0] = load<V>(dy + k);
      if (right) d[1] = load<V>(dy + m.K + k);
      if (down) d[2] = load<V>(dy + m.Q * m.K + k);
      if (right && down) d[3] = load<V>(dy + (m.Q + 1) * m.K + k);
      output_adjoint(d, v);
      store_positions(v, p.tiles.values + k / kLine * p.tiles.block + t * kLine + k % kLine,
                      p.tiles.position);
    }
  }
}

// Filters of one output block, taken 16 channels at a time: nine 16 x 16 transposes put the filters
// side by side, then the transform works on 16 filters at once.
template <class V>
CONVOY_INLINE void run_straight(const FilterPanel& p) {
  alignas(64) float taps[kTaps][kLine][kLine];  // [tap][channel][filter]
  const std::int64_t filter_size = kTaps * p.C;
  const float* w = p.w + p.out_block * kLine * filter_size;
  for (std::int64_t c0 = 0; c0 < p.C; c0 += kLine) {
    for (int tap = 0; tap < kTaps; ++tap) {
      transpose_lines<V>(w + tap * p.C + c0, filter_size, &taps[tap][0][0], kLine);
    }
    for (int c = 0; c < kLine; ++c) {
      for (int lane = 0; lane < kLine; lane += kLanes<V>) {
        V g[kTaps], u[kPositions];
        for (int tap = 0; tap < kTaps; ++tap) g[tap] = load<V>(&taps[tap][c][lane]);
        filter(g, u);
        store_positions(u, p.u + (c0 + c) * kLine + lane, p.position);
      }
    }
  }
}

template <class V>
CONVOY_INLINE void run_flipped(const FilterPanel& p) {
  for (std::int64_t k = 0; k < p.K; ++k) {
    const float* w = p.w + k * kTaps * p.C + p.out_block * kLine;
    for (int lane = 0; lane < kLine; lane += kLanes<V>) {
      V g[kTaps], u[kPositions];
      for (int tap = 0; tap < kTaps; ++tap) g[tap] = load<V>(w + (kTaps - 1 - tap) * p.C + lane);
      filter(g, u);
      store_positions(u, p.u + k * kLine + lane, p.position);
    }
  }
}

template <class V>
CONVOY_INLINE void run(const FilterPanel& p) {
  if (p.flip) {
    run_flipped<V>(p);
  } else {
    run_straight<V>(p);
  }
}

template <class V>
CONVOY_INLINE void run(const FilterGradient& p) {
  for (int k = 0; k < kLine; ++k) {
    float* dw = p.dw + (p.k_block * kLine + k) * kTaps * p.C + p.c_block * kLine;
    for (int lane = 0; lane < kLine; lane += kLanes<V>) {
      V u[kPositions], g[kTaps];
      for (int i = 0; i < kPositions; ++i) {
        const float* du = p.du + i * p.position + k * kLine + lane;
        u[i] = load<V>(du);
        for (std::int64_t piece = 1; piece < p.pieces; ++piece)
          u[i] += load<V>(du + piece * p.piece);
      }
      filter_adjoint(u, g);
      for (int tap = 0; tap < kTaps; ++tap) {
        float* to = dw + tap * p.C + lane;
        store(to, p.accumulate ? load<V>(to) + g[tap] : g[tap]);
      }
    }
  }
}

template <class Work>
CONVOY_AVX512 void run_avx512(const Work& work) {
  run<Float16>(work);
}
template <class Work>
void run_avx2(const Work& work) {
  run<Float8>(work);
}
template <class Work>
void dispatch(const Work& work) {
  avx512() ? run_avx512(work) : run_avx2(work);
}

}  // namespace

void input_tiles(const InputTiles& p) { dispatch(p); }
void output_tiles(const OutputTiles& p) { dispatch(p); }
void output_gradient_tiles(const OutputGradientTiles& p) { dispatch(p); }
void filter_panel(const FilterPanel& p) { dispatch(p); }
void filter_gradient(const FilterGradient& p) { dispatch(p); }

}  // namespace convoy::on_cpu::winograd
