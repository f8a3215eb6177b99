// SPDX-License-Identifier: MIT
#pragma once
// A [rows, channels] matrix seen as wide rows: short rows are joined until they have kMinLanes
// lanes, so that the inner loops stay long and vectorise whatever the number of channels. Lane i of
// a wide row belongs to channel i % channels. Sums per channel run lane by lane in working
// precision over a block of rows, and are folded into doubles at its end.
//
//   const WideRows wide = wide_rows(rows, channels);
//   wide.for_each_run(begin, end, [&](std::int64_t at, std::int64_t lane, std::int64_t n) {
//     for (std::int64_t i = 0; i < n; ++i) y[at + i] = x[at + i] * a[lane + i];
//   });

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace convoy::on_cpu {

inline constexpr std::int64_t kMinLanes = 256;  // joined rows are at least this long
inline constexpr int kGroup = 4;                // wide rows summed at a time
inline constexpr std::int64_t kMaxLanes = 512;  // a tile is at most this long: it fits on a stack

// Lanes [lane, lane + lanes) of a wide row: all of it, or a range of channels where rows are long.
struct LaneTile {
  std::int64_t lane = 0, lanes = 0;
  std::int64_t channel = 0, channels = 0;  // lanes == channels * repeat

  // out[lane] = in[channel]
  template <class T, class U>
  void spread(const U* in, T* out) const {
    for (std::int64_t i = 0; i < lanes; i += channels) {
      for (std::int64_t c = 0; c < channels; ++c) out[i + c] = static_cast<T>(in[c]);
    }
  }
  // out[channel] = the sum of that channel's lanes
  template <class T>
  void fold(const T* in, double* out) const {
    std::fill_n(out, channels, 0.0);
    for (std::int64_t i = 0; i < lanes; i += channels) {
      for (std::int64_t c = 0; c < channels; ++c) out[c] += static_cast<double>(in[i + c]);
    }
  }
};

struct WideRows {
  std::int64_t rows = 0, channels = 0;
  std::int64_t repeat = 1;      // rows joined
  std::int64_t width = 0;       // channels * repeat
  std::int64_t chunks = 1;      // pieces for parallel sums: they depend on the shape only
  std::int64_t block_rows = 0;  // rows to sum in working precision

  std::int64_t chunk_begin(std::int64_t chunk) const { return rows * chunk / chunks; }
  std::int64_t grain(std::int64_t elements) const {
    return std::max<std::int64_t>(1, elements / std::max<std::int64_t>(channels, 1));
  }

  // f(tile) for the tiles of a wide row.
  template <class F>
  void for_each_tile(F&& f) const {
    for (std::int64_t lane = 0; lane < width; lane += kMaxLanes) {
      const std::int64_t lanes = std::min(kMaxLanes, width - lane);
      f(repeat > 1 ? LaneTile{0, width, 0, channels} : LaneTile{lane, lanes, lane, lanes});
    }
  }
  // f(at, n, Count) for the pieces of rows [begin, end) in a tile: elements at to at + n, from lane
  // 0 of the tile, of one wide row or of the kGroup of them that follow each other `width` apart.
  // Sums over a group at once load and store their totals less often.
  template <class F>
  void for_each_piece(std::int64_t begin, std::int64_t end, const LaneTile& tile, F&& f) const {
    const std::int64_t last = end * channels;
    std::int64_t at = begin * channels;
    for (; at + kGroup * width <= last; at += kGroup * width) {
      f(at + tile.lane, tile.lanes, std::integral_constant<int, kGroup>{});
    }
    for (; at < last; at += width) {
      f(at + tile.lane, std::min(tile.lanes, last - at - tile.lane),
        std::integral_constant<int, 1>{});
    }
  }
  // f(at, lane, n) for all of rows [begin, end): blocks from the last to the first, each in order
  // of memory. Behind a pass in rising order it meets first what the caches still hold.
  template <class F>
  void for_each_run(std::int64_t begin, std::int64_t end, F&& f) const {
    for (std::int64_t stop = end; stop > begin; stop -= block_rows) {
      const std::int64_t last = stop * channels;
      for (std::int64_t at = std::max(begin, stop - block_rows) * channels; at < last;
           at += width) {
        const std::int64_t here = std::min(width, last - at);
        for (std::int64_t lane = 0; lane < here; lane += kMaxLanes) {
          f(at + lane, lane, std::min(kMaxLanes, here - lane));
        }
      }
    }
  }
};

inline WideRows wide_rows(std::int64_t rows, std::int64_t channels) {
  constexpr std::int64_t kBlockLength = 128, kMinChunk = 1 << 14, kMaxChunks = 64;
  WideRows wide{rows, channels};
  const std::int64_t c = std::max<std::int64_t>(channels, 1);
  wide.repeat = (kMinLanes + c - 1) / c;
  wide.width = channels * wide.repeat;
  wide.chunks = std::clamp<std::int64_t>(rows * channels / kMinChunk, 1, kMaxChunks);
  wide.chunks = std::min(wide.chunks, std::max<std::int64_t>(rows, 1));
  wide.block_rows = kBlockLength * wide.repeat;
  return wide;
}

}  // namespace convoy::on_cpu
