// SPDX-License-Identifier: MIT
#include "data/resize.h"

#include <algorithm>
#include <cmath>

#include "kernels/require.h"

namespace convoy::data {
namespace {

// For each wanted output position the inputs that it averages: inputs begin..begin + taps.
struct Weights {
  std::int64_t taps = 0;            // the most that a position has
  std::vector<std::int64_t> begin;  // [count]
  std::vector<std::int64_t> used;   // [count]
  std::vector<float> weight;        // [count, taps]
};

// Positions first..first + count of `in` samples scaled to `out`. Sample centres are at half
// integers, and a triangle of half width max(1, in / out) is put over each output's centre.
Weights triangle_weights(std::int64_t in, std::int64_t out, std::int64_t first,
                         std::int64_t count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double reach = std::max(1.0, scale);
  Weights w;
  w.taps = 2 * static_cast<std::int64_t>(std::ceil(reach)) + 1;
  w.begin.resize(static_cast<std::size_t>(count));
  w.used = w.begin;
  w.weight.resize(static_cast<std::size_t>(count * w.taps));
  for (std::int64_t i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(first + i) + 0.5) * scale;
    const auto begin = std::max<std::int64_t>(0, std::lround(std::floor(centre - reach + 0.5)));
    const auto end = std::min(in, static_cast<std::int64_t>(std::floor(centre + reach + 0.5)));
    double sum = 0;
    const auto value = [&](std::int64_t j) {
      return std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - centre) / reach);
    };
    for (std::int64_t j = begin; j < end; ++j) sum += value(j);
    for (std::int64_t j = begin; j < end; ++j) {
      w.weight[static_cast<std::size_t>(i * w.taps + j - begin)] =
          static_cast<float>(value(j) / sum);
    }
    w.begin[static_cast<std::size_t>(i)] = begin;
    w.used[static_cast<std::size_t>(i)] = end - begin;
  }
  return w;
}

// One row of the box, scaled to the wanted width: out [width, channels].
void scale_row(const std::uint8_t* row, const Weights& w, std::int64_t channels,
               std::span<float> out) {
  std::size_t at = 0;
  for (std::size_t x = 0; x < w.begin.size(); ++x) {
    const float* weight = &w.weight[x * static_cast<std::size_t>(w.taps)];
    const std::uint8_t* from = row + w.begin[x] * channels;
    for (std::int64_t c = 0; c < channels; ++c, ++at) {
      float sum = 0;
      for (std::int64_t j = 0; j < w.used[x]; ++j) sum += weight[j] * from[j * channels + c];
      out[at] = sum;
    }
  }
}

void check(const Image& image, const Framing& f, std::int64_t out_height, std::int64_t out_width) {
  const Box& b = f.box;
  require(b.y >= 0 && b.x >= 0 && b.height >= 1 && b.width >= 1 &&
              b.y + b.height <= image.extent.height && b.x + b.width <= image.extent.width,
          "resize: box expects to lie in an image of {}, found {} x {} at ({}, {})", image.extent,
          b.height, b.width, b.y, b.x);
  require(f.top >= 0 && f.left >= 0 && out_height >= 1 && out_width >= 1 &&
              f.top + out_height <= f.height && f.left + out_width <= f.width,
          "resize: window expects to lie in {} x {}, found {} x {} at ({}, {})", f.height, f.width,
          out_height, out_width, f.top, f.left);
}

}  // namespace

Box whole(const ImageExtent& extent) { return {0, 0, extent.height, extent.width}; }

void resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                     std::int64_t out_width, std::uint8_t* out) {
  check(image, framing, out_height, out_width);
  const Box& box = framing.box;
  const std::int64_t channels = image.extent.channels;
  const Weights across = triangle_weights(box.width, framing.width, framing.left, out_width);
  const Weights down = triangle_weights(box.height, framing.height, framing.top, out_height);

  // Only the rows that the window needs are scaled: first_row..last_row of the box.
  const std::int64_t first_row = down.begin.front();
  const std::int64_t last_row = down.begin.back() + down.used.back();
  const auto row_values = static_cast<std::size_t>(out_width * channels);
  std::vector<float> rows(static_cast<std::size_t>(last_row - first_row) * row_values);
  for (std::int64_t y = first_row; y < last_row; ++y) {
    const std::int64_t at = ((box.y + y) * image.extent.width + box.x) * channels;
    scale_row(
        image.pixels.data() + at, across, channels,
        std::span(rows).subspan(static_cast<std::size_t>(y - first_row) * row_values, row_values));
  }
  std::vector<float> sum(row_values);
  for (std::size_t y = 0; y < down.begin.size(); ++y) {
    std::fill(sum.begin(), sum.end(), 0.5f);  // rounds
    for (std::int64_t j = 0; j < down.used[y]; ++j) {
      const float weight =
          down.weight[y * static_cast<std::size_t>(down.taps) + static_cast<std::size_t>(j)];
      const float* row =
          &rows[static_cast<std::size_t>(down.begin[y] - first_row + j) * row_values];
      for (std::size_t i = 0; i < row_values; ++i) sum[i] += weight * row[i];
    }
    for (std::size_t i = 0; i < row_values; ++i) {
      *out++ = static_cast<std::uint8_t>(std::clamp(sum[i], 0.0f, 255.0f));
    }
  }
}

Image resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                      std::int64_t out_width) {
  Image out({out_height, out_width, image.extent.channels});
  resize_bilinear(image, framing, out_height, out_width, out.pixels.data());
  return out;
}

}  // namespace convoy::data
