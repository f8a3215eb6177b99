// SPDX-License-Identifier: MIT
#include "data/pixel_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace convoy::data {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

// Pillow cuts off what is behind the point.
std::uint8_t to_level(float value) {
  return static_cast<std::uint8_t>(static_cast<int>(std::clamp(value, 0.0f, 255.0f)));
}

// Of the value and what it is without brightness, contrast … : factor 0 gives the latter, 1 the
// value. In float, as Pillow does it: 1.8 times 5 is then 9 and not a hair less.
float blend(int without, int value, double factor) {
  return static_cast<float>(without) +
         static_cast<float>(factor) * static_cast<float>(value - without);
}

template <class F>
Table table_of(F&& level) {
  Table table;
  for (int v = 0; v < 256; ++v) table[static_cast<std::size_t>(v)] = level(v);
  return table;
}

void look_up(std::span<std::uint8_t> values, const Table& table) {
  for (std::uint8_t& v : values) v = table[v];
}

void look_up_channel(const ImageSpan& image, std::int64_t c, const Table& table) {
  for (std::int64_t i = c; i < image.extent.count(); i += image.extent.channels) {
    image.pixels[i] = table[image.pixels[i]];
  }
}

Histogram histogram(const ImageSpan& image, std::int64_t c) {
  Histogram counts{};
  for (std::int64_t i = c; i < image.extent.count(); i += image.extent.channels) {
    ++counts[image.pixels[i]];
  }
  return counts;
}

// ITU-R BT.601 in 16 bits behind the point, as Pillow's "L".
int grey_of(const std::uint8_t* rgb) {
  return (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16;
}

int mean_grey(const ImageSpan& image) {
  std::int64_t sum = 0;
  const std::int64_t pixels = image.extent.height * image.extent.width;
  for (std::int64_t i = 0; i < pixels; ++i) {
    sum += image.extent.channels == 3 ? grey_of(image.pixels + 3 * i) : image.pixels[i];
  }
  return static_cast<int>((2 * sum + pixels) / (2 * pixels));
}

// Levels, 255 of them once around the circle from red. In Pillow's precision, since a level of hue
// that is cut off differently is several levels of a colour.
struct Hsv {
  int hue, saturation, value;
};

Hsv to_hsv(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), range = most - std::min({r, g, b});
  if (range == 0) return {0, 0, most};
  const auto below_most = [&](int level) {
    return static_cast<float>(most - level) / static_cast<float>(range);
  };
  float sixths = 0;
  if (r == most) {
    sixths = below_most(b) - below_most(g);
  } else if (g == most) {
    sixths = static_cast<float>(2.0 + below_most(r) - below_most(b));
  } else {
    sixths = static_cast<float>(4.0 + below_most(g) - below_most(r));
  }
  const double turns = sixths / 6.0 + 1;
  const auto circle = static_cast<float>(turns < 1 ? turns : turns - 1);
  const float saturation = static_cast<float>(range) / static_cast<float>(most);
  return {static_cast<int>(circle * 255.0), static_cast<int>(saturation * 255.0), most};
}

// Which of six parts of the circle a hue is in, and how far.
struct Sector {
  int part;
  float along;
};

std::array<Sector, 256> make_sectors() {
  std::array<Sector, 256> sectors;
  for (std::size_t hue = 0; hue < 256; ++hue) {
    const double sixths = static_cast<double>(hue) * 6 / 255, part = std::floor(sixths);
    sectors[hue] = {static_cast<int>(part) % 6, static_cast<float>(sixths - part)};
  }
  return sectors;
}

void from_hsv(const Hsv& c, std::uint8_t* rgb) {
  static const std::array<Sector, 256> kSectors = make_sectors();
  const auto [part, along] = kSectors[static_cast<std::size_t>(c.hue)];
  const float saturation = static_cast<float>(c.saturation) / 255;
  const auto without = [&](float colour) {
    return to_level(static_cast<float>(c.value) * (1 - colour) + 0.5f);
  };
  const auto v = static_cast<std::uint8_t>(c.value);
  const std::uint8_t low = without(saturation), falling = without(saturation * along),
                     rising = without(saturation * (1 - along));
  // From red over yellow, green, cyan, blue and magenta.
  static constexpr std::array<std::array<int, 3>, 6> kOrder = {
      {{0, 3, 1}, {2, 0, 1}, {1, 0, 3}, {1, 2, 0}, {3, 1, 0}, {0, 1, 2}}};
  const std::array<std::uint8_t, 4> levels = {v, low, falling, rising};
  const auto& order = kOrder[static_cast<std::size_t>(part)];
  for (std::size_t i = 0; i < 3; ++i) rgb[i] = levels[static_cast<std::size_t>(order[i])];
}

void keep(const ImageSpan& image, std::vector<std::uint8_t>& scratch) {
  const auto values = image.values();
  scratch.assign(values.begin(), values.end());
}

}  // namespace

void adjust_brightness(const ImageSpan& image, double factor) {
  look_up(image.values(), table_of([&](int v) { return to_level(blend(0, v, factor)); }));
}

void adjust_contrast(const ImageSpan& image, double factor) {
  const int mean = mean_grey(image);
  look_up(image.values(), table_of([&](int v) { return to_level(blend(mean, v, factor)); }));
}

void adjust_saturation(const ImageSpan& image, double factor) {
  if (image.extent.channels != 3) return;
  for (std::int64_t i = 0; i < image.extent.height * image.extent.width; ++i) {
    std::uint8_t* rgb = image.pixels + 3 * i;
    const int grey = grey_of(rgb);
    for (int c = 0; c < 3; ++c) rgb[c] = to_level(blend(grey, rgb[c], factor));
  }
}

// Smoothed: five parts of the pixel, one each of its eight neighbours; pixels at the border stay.
void adjust_sharpness(const ImageSpan& image, double factor, std::vector<std::uint8_t>& scratch) {
  keep(image, scratch);
  const std::int64_t channels = image.extent.channels, row = image.extent.width * channels;
  for (std::int64_t y = 1; y + 1 < image.extent.height; ++y) {
    const std::uint8_t* here = scratch.data() + y * row;
    const std::uint8_t *above = here - row, *under = here + row;
    std::uint8_t* __restrict to = image.pixels + y * row;
    for (std::int64_t i = channels, left = 0, right = 2 * channels; right < row;
         ++i, ++left, ++right) {
      const int sum = above[left] + above[i] + above[right] + here[left] + 5 * here[i] +
                      here[right] + under[left] + under[i] + under[right];
      to[i] = to_level(blend((2 * sum + 13) / 26, here[i], factor));
    }
  }
}

void adjust_hue(const ImageSpan& image, double turn) {
  if (image.extent.channels != 3) return;
  const int levels = static_cast<int>(turn * 255);
  for (std::int64_t i = 0; i < image.extent.height * image.extent.width; ++i) {
    Hsv colour = to_hsv(image.pixels + 3 * i);
    colour.hue = (colour.hue + levels) & 255;
    from_hsv(colour, image.pixels + 3 * i);
  }
}

void posterize(const ImageSpan& image, int bits) {
  const int mask = 256 - (1 << (8 - bits));
  look_up(image.values(), table_of([&](int v) { return static_cast<std::uint8_t>(v & mask); }));
}

void solarize(const ImageSpan& image, double threshold) {
  look_up(image.values(),
          table_of([&](int v) { return static_cast<std::uint8_t>(v < threshold ? v : 255 - v); }));
}

void autocontrast(const ImageSpan& image) {
  for (std::int64_t c = 0; c < image.extent.channels; ++c) {
    const Histogram counts = histogram(image, c);
    const auto used = [](std::int64_t count) { return count > 0; };
    const auto low = std::find_if(counts.begin(), counts.end(), used) - counts.begin();
    const auto high = 255 - (std::find_if(counts.rbegin(), counts.rend(), used) - counts.rbegin());
    if (high <= low) continue;
    const double scale = 255.0 / static_cast<double>(high - low);
    const auto stretched = [&](int v) {
      const double level = v * scale - static_cast<double>(low) * scale;
      return static_cast<std::uint8_t>(std::clamp(level, 0.0, 255.0));
    };
    look_up_channel(image, c, table_of(stretched));
  }
}

// Each level goes to the part of the pixels that are darker, in steps of a 255th of those that are
// not the brightest.
void equalize(const ImageSpan& image) {
  for (std::int64_t c = 0; c < image.extent.channels; ++c) {
    const Histogram counts = histogram(image, c);
    const std::int64_t brightest =
        *std::find_if(counts.rbegin(), counts.rend(), [](std::int64_t n) { return n > 0; });
    const std::int64_t step = (image.extent.height * image.extent.width - brightest) / 255;
    if (step == 0) continue;
    std::int64_t darker = step / 2;
    const auto flattened = [&](int v) {
      const std::int64_t level = darker / step;
      darker += counts[static_cast<std::size_t>(v)];
      return static_cast<std::uint8_t>(std::min<std::int64_t>(level, 255));
    };
    look_up_channel(image, c, table_of(flattened));
  }
}

void fill(const ImageSpan& image, const Box& box, const std::array<std::uint8_t, 3>& colour) {
  const std::int64_t channels = image.extent.channels;
  for (std::int64_t y = box.y; y < box.y + box.height; ++y) {
    std::uint8_t* to = image.pixels + (y * image.extent.width + box.x) * channels;
    for (std::int64_t x = 0; x < box.width; ++x, to += channels) {
      std::copy_n(colour.data(), channels, to);
    }
  }
}

Affine shear_x(double shear) { return {1, shear, 0, 0, 1, 0}; }
Affine shear_y(double shear) { return {1, 0, 0, shear, 1, 0}; }
Affine translate(double x, double y) { return {1, 0, -x, 0, 1, -y}; }

Affine rotate(double degrees, const ImageExtent& e) {
  const double angle = degrees * std::numbers::pi / 180, cosine = std::cos(angle),
               sine = std::sin(angle);
  const double x = static_cast<double>(e.width) / 2, y = static_cast<double>(e.height) / 2;
  return {cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y};
}

void warp(const ImageSpan& image, const Affine& m, std::vector<std::uint8_t>& scratch) {
  keep(image, scratch);
  const ImageExtent& e = image.extent;
  const auto width = static_cast<double>(e.width), height = static_cast<double>(e.height);
  std::uint8_t* to = image.pixels;
  for (std::int64_t row = 0; row < e.height; ++row) {
    const double y = static_cast<double>(row) + 0.5;
    for (std::int64_t column = 0; column < e.width; ++column, to += e.channels) {
      const double x = static_cast<double>(column) + 0.5;
      const double from_x = m[0] * x + m[1] * y + m[2], from_y = m[3] * x + m[4] * y + m[5];
      if (from_x >= 0 && from_x < width && from_y >= 0 && from_y < height) {
        const std::int64_t at =
            static_cast<std::int64_t>(from_y) * e.width + static_cast<std::int64_t>(from_x);
        std::copy_n(&scratch[static_cast<std::size_t>(at * e.channels)], e.channels, to);
      } else {
        std::fill_n(to, e.channels, std::uint8_t{0});
      }
    }
  }
}

}  // namespace convoy::data
