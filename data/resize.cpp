// SPDX-License-Identifier: MIT
#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr std::int64_t kLanes = 4;
constexpr std::size_t kRows = 4;  // scaled across together
using Lanes [[gnu::vector_size(16)]] = float;

Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

// out = sum of weight[t] * row[t] over a fixed number of rows, added to what `out` holds already
// where there are more rows than that.
template <int taps, bool add>
void add_rows(const std::array<const std::uint8_t*, 4>& rows, const float* weights, std::size_t n,
              float* __restrict out) {
  const std::uint8_t* __restrict r0 = rows[0];
  const std::uint8_t* __restrict r1 = rows[taps > 1 ? 1 : 0];
  const std::uint8_t* __restrict r2 = rows[taps > 2 ? 2 : 0];
  const std::uint8_t* __restrict r3 = rows[taps > 3 ? 3 : 0];
  const float w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
  for (std::size_t i = 0; i < n; ++i) {
    float sum = add ? out[i] : 0.0f;
    sum += w0 * r0[i];
    if (taps > 1) sum += w1 * r1[i];
    if (taps > 2) sum += w2 * r2[i];
    if (taps > 3) sum += w3 * r3[i];
    out[i] = sum;
  }
}

void to_bytes(const float* __restrict from, std::size_t n, std::uint8_t* __restrict to) {
  for (std::size_t i = 0; i < n; ++i) {
    const float rounded = std::min(std::max(from[i] + 0.5f, 0.0f), 255.0f);
    to[i] = static_cast<std::uint8_t>(static_cast<int>(rounded));
  }
}

}  // namespace

Box whole(const ImageExtent& extent) { return {0, 0, extent.height, extent.width}; }

bool lies_in(const Box& b, const ImageExtent& extent) {
  return b.y >= 0 && b.x >= 0 && b.height >= 1 && b.width >= 1 && b.height <= extent.height - b.y &&
         b.width <= extent.width - b.x;
}

void check(const Framing& f, const ImageExtent& image, std::int64_t out_height,
           std::int64_t out_width) {
  const Box& b = f.box;
  require(lies_in(b, image),
          "resize: box expects to lie in an image of {}, found {} x {} at ({}, {})", image,
          b.height, b.width, b.y, b.x);
  require(f.top >= 0 && f.left >= 0 && out_height >= 1 && out_width >= 1 &&
              f.top + out_height <= f.height && f.left + out_width <= f.width,
          "resize: window expects to lie in {} x {}, found {} x {} at ({}, {})", f.height, f.width,
          out_height, out_width, f.top, f.left);
}

// Sample centres are at half integers, and a triangle of half width max(1, extent / out) is put
// over each output's centre.
void Resizer::plan_axis(double begin, double extent, std::int64_t out, std::int64_t at,
                        std::int64_t count, Axis& axis) {
  const double scale = extent / static_cast<double>(out), reach = std::max(1.0, scale);
  const auto low = static_cast<std::int64_t>(std::floor(begin));
  const auto high = static_cast<std::int64_t>(std::ceil(begin + extent));
  const auto centre = [&](std::int64_t i) {
    return begin + (static_cast<double>(at + i) + 0.5) * scale;
  };
  const auto from = [&](std::int64_t i) {
    return std::clamp(static_cast<std::int64_t>(std::floor(centre(i) - reach + 0.5)), low, high);
  };
  const auto to = [&](std::int64_t i) {
    return std::clamp(static_cast<std::int64_t>(std::floor(centre(i) + reach + 0.5)), low, high);
  };
  axis.first = from(0);
  axis.end = to(count - 1);
  axis.taps = 1;
  for (std::int64_t i = 0; i < count; ++i) axis.taps = std::max(axis.taps, to(i) - from(i));
  axis.stride = (axis.taps + kLanes - 1) / kLanes * kLanes;
  axis.begin.resize(static_cast<std::size_t>(count));
  axis.weight.assign(static_cast<std::size_t>(count * axis.stride), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    // Where the border cuts taps off, the position begins earlier, with weights of 0.
    const std::int64_t first = std::min(from(i), axis.end - axis.taps);
    float* weight = &axis.weight[static_cast<std::size_t>(i * axis.stride)];
    const auto triangle = [&](std::int64_t j) {
      return std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - centre(i)) / reach);
    };
    double sum = 0;
    for (std::int64_t j = from(i); j < to(i); ++j) sum += triangle(j);
    for (std::int64_t j = from(i); j < to(i); ++j) {
      weight[j - first] = static_cast<float>(triangle(j) / sum);
    }
    axis.begin[static_cast<std::size_t>(i)] = first - axis.first;
  }
}

Box Resizer::plan(const Region& region, const Framing& f, std::int64_t out_height,
                  std::int64_t out_width) {
  plan_axis(region.y, region.height, f.height, f.top, out_height, down_);
  plan_axis(region.x, region.width, f.width, f.left, out_width, across_);
  return {down_.first, across_.first, down_.end - down_.first, across_.end - across_.first};
}

// Rows first: the loop over a row's values has no gaps, and what is left is the wanted height.
void Resizer::scale_down(const std::uint8_t* pixels, std::int64_t stride, std::size_t y,
                         std::size_t values, float* out) {
  const float* weight = &down_.weight[y * static_cast<std::size_t>(down_.stride)];
  for (std::int64_t tap = 0; tap < down_.taps; tap += kLanes) {
    std::array<const std::uint8_t*, 4> rows{};
    const std::int64_t taps = std::min(kLanes, down_.taps - tap);
    for (std::int64_t t = 0; t < taps; ++t) {
      rows[static_cast<std::size_t>(t)] = pixels + (down_.begin[y] + tap + t) * stride;
    }
    const auto add = [&]<int n>() {
      tap == 0 ? add_rows<n, false>(rows, weight, values, out)
               : add_rows<n, true>(rows, weight + tap, values, out);
    };
    switch (taps) {
      case 1:
        add.operator()<1>();
        break;
      case 2:
        add.operator()<2>();
        break;
      case 3:
        add.operator()<3>();
        break;
      default:
        add.operator()<4>();
    }
  }
}

// Of kRows rows at once, so that each weight is loaded once for them. Three channels share a
// vector, whose last lane is the next pixel's; of one channel four taps do.
template <int taps>
void Resizer::scale_across(std::int64_t channels) {
  const std::size_t row = row_.size() / kRows, scaled = scaled_.size() / kRows;
  const float* weight = across_.weight.data();
  float* out = scaled_.data();
  for (const std::int64_t begin : across_.begin) {
    const float* from = row_.data() + begin * channels;
    Lanes sum[kRows] = {};
    const std::int64_t step = channels == 1 ? kLanes : 1;
    const std::int64_t end = taps > 0 && channels != 1 ? taps : across_.taps;
    for (std::int64_t t = 0; t < end; t += step, from += step * channels) {
      const Lanes w = channels == 1 ? load(weight + t) : weight[t] - Lanes{};
      for (std::size_t r = 0; r < kRows; ++r) sum[r] += w * load(from + r * row);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      if (channels == 1) {
        out[r * scaled] = (sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3]);
      } else {
        std::memcpy(out + r * scaled, &sum[r], sizeof sum[r]);
      }
    }
    weight += across_.stride;
    out += channels;
  }
}

void Resizer::run(const std::uint8_t* pixels, std::int64_t stride, std::int64_t channels,
                  std::uint8_t* out) {
  require(channels >= 1 && channels <= kLanes, "resize: expected 1 to 4 channels, found {}",
          channels);
  const auto values = static_cast<std::size_t>((across_.end - across_.first) * channels);
  const std::size_t out_values = across_.begin.size() * static_cast<std::size_t>(channels);
  row_.assign(kRows * (values + kLanes), 0);  // vectors reach behind the last value
  scaled_.resize(kRows * (out_values + kLanes));
  const std::size_t height = down_.begin.size();
  for (std::size_t y = 0; y < height; y += kRows) {
    const std::size_t rows = std::min(kRows, height - y);
    for (std::size_t r = 0; r < rows; ++r) {
      scale_down(pixels, stride, y + r, values, row_.data() + r * (values + kLanes));
    }
    switch (across_.taps) {
      case 2:
        scale_across<2>(channels);
        break;
      case 3:
        scale_across<3>(channels);
        break;
      case 4:
        scale_across<4>(channels);
        break;
      default:
        scale_across<0>(channels);
    }
    for (std::size_t r = 0; r < rows; ++r, out += out_values) {
      to_bytes(scaled_.data() + r * (out_values + kLanes), out_values, out);
    }
  }
}

void resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                     std::int64_t out_width, std::uint8_t* out) {
  check(framing, image.extent, out_height, out_width);
  const Box& b = framing.box;
  Resizer resizer;
  const Box part = resizer.plan({static_cast<double>(b.y), static_cast<double>(b.x),
                                 static_cast<double>(b.height), static_cast<double>(b.width)},
                                framing, out_height, out_width);
  const std::int64_t stride = image.extent.width * image.extent.channels;
  resizer.run(image.pixels.data() + part.y * stride + part.x * image.extent.channels, stride,
              image.extent.channels, out);
}

Image resize_bilinear(const Image& image, const Framing& framing, std::int64_t out_height,
                      std::int64_t out_width) {
  Image out({out_height, out_width, image.extent.channels});
  resize_bilinear(image, framing, out_height, out_width, out.pixels.data());
  return out;
}

}  // namespace convoy::data
