// SPDX-License-Identifier: MIT
#include "kernels/cpu/winograd_tiles.h"

#include "kernels/cpu/transpose.h"
#include "kernels/cpu/winograd.h"

namespace convoy::on_cpu::winograd {
namespace {

// Walks over tiles, row by row and image by image, without a division a tile.
struct Place {
  std::int64_t n, p, q;  // of the tile's first output

  CONVOY_INLINE Place(const Map& m, std::int64_t tile)
      : n(tile / (m.tiles_h() * m.tiles_w())),
        p(tile / m.tiles_w() % m.tiles_h() * kTile),
        q(tile % m.tiles_w() * kTile) {}
  CONVOY_INLINE void next(const Map& m) {
    q += kTile;
    if (q < m.Q) return;
    q = 0, p += kTile;
    if (p < m.P) return;
    p = 0, ++n;
  }
};

// Which rows and columns of a patch are in the image: [begin, end).
struct Inside {
  std::int64_t begin, end;
  CONVOY_INLINE Inside(std::int64_t start, std::int64_t extent)
      : begin(start < 0 ? -start : 0), end(extent - start < kPatch ? extent - start : kPatch) {}
  CONVOY_INLINE bool whole() const { return begin == 0 && end == kPatch; }
  CONVOY_INLINE bool has(int i) const { return i >= begin && i < end; }
};

template <class V>
CONVOY_INLINE void store_positions(const V (&v)[kPositions], float* to, std::int64_t position) {
#pragma GCC unroll 16
  for (int i = 0; i < kPositions; ++i) store(to + i * position, v[i]);
}

template <class V>
CONVOY_INLINE void run(const InputTiles& p) {
  const Map& m = *p.tiles.map;
  const std::int64_t row = m.W * m.C;
  Place at(m, p.tiles.begin);
  for (std::int64_t t = 0; t < p.tiles.count; ++t, at.next(m)) {
    const std::int64_t h0 = at.p - m.pad_h, w0 = at.q - m.pad_w;
    const Inside rows(h0, m.H), columns(w0, m.W);
    const bool whole = rows.whole() && columns.whole();
    const float* from = p.x + at.n * m.H * row + h0 * row + w0 * m.C;
    for (std::int64_t c = 0; c < m.C; c += kLanes<V>, from += kLanes<V>) {
      V d[kPositions] = {}, v[kPositions];
      if (whole) {
#pragma GCC unroll 16
        for (int i = 0; i < kPositions; ++i)
          d[i] = load<V>(from + i / kPatch * row + i % kPatch * m.C);
        // The two new rows of the tiles below: the stream of patches is too jumpy for the hardware.
        for (int i = 1; i < 3; ++i) {
          __builtin_prefetch(from + 4 * row + i * m.C);
          __builtin_prefetch(from + 5 * row + i * m.C);
        }
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < kPositions; ++i) {
          if (rows.has(i / kPatch) && columns.has(i % kPatch)) {
            d[i] = load<V>(from + i / kPatch * row + i % kPatch * m.C);
          }
        }
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
  Place at(m, p.tiles.begin);
  for (std::int64_t t = 0; t < p.tiles.count; ++t, at.next(m)) {
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
        __builtin_prefetch(to + kTile * m.Q * m.K, 1);
        if (p.bias) sum[i] += load<V>(p.bias + p.k_block * kLine + lane);
        store(to, p.accumulate ? load<V>(to) + sum[i] : sum[i]);
      }
    }
  }
}

template <class V>
CONVOY_INLINE void run(const OutputGradientTiles& p) {
  const Map& m = *p.tiles.map;
  Place at(m, p.tiles.begin);
  for (std::int64_t t = 0; t < p.tiles.count; ++t, at.next(m)) {
    const float* dy = p.dy + ((at.n * m.P + at.p) * m.Q + at.q) * m.K;
    const bool down = at.p + 1 < m.P, right = at.q + 1 < m.Q;
    for (std::int64_t k = 0; k < m.K; k += kLanes<V>) {
      V d[kTile * kTile] = {}, v[kPositions];
      for (int i = 0; i < kTile * kTile; ++i) {  // the tile below
        __builtin_prefetch(dy + ((kTile + i / kTile) * m.Q + i % kTile) * m.K + k);
      }
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
      const float* from = w + tap * p.C + c0;
      for (int k = 0; k < kLine; ++k) __builtin_prefetch(from + k * filter_size + kLine);
      transpose_lines<V>(from, filter_size, &taps[tap][0][0], kLine);
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

constexpr int kAhead = 8;  // filters

template <class V>
CONVOY_INLINE void run_flipped(const FilterPanel& p) {
  for (std::int64_t k = 0; k < p.K; ++k) {
    const float* w = p.w + k * kTaps * p.C + p.out_block * kLine;
    for (int tap = 0; tap < kTaps; ++tap) __builtin_prefetch(w + (kAhead * kTaps + tap) * p.C);
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
    for (int tap = 0; tap < kTaps; ++tap) __builtin_prefetch(dw + tap * p.C + kLine, 1);
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
