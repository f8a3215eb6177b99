// SPDX-License-Identifier: MIT
#include "data/resize.h"

#include <cmath>
#include <random>

#include "tests/data/files.h"

namespace convoy::data {
namespace {

Image random_image(const ImageExtent& extent, std::uint32_t seed) {
  std::mt19937 engine(seed);
  Image image(extent);
  for (std::uint8_t& p : image.pixels) p = static_cast<std::uint8_t>(engine());
  return image;
}

// One output value in double precision, over the whole box at once: the triangle around the output
// pixel's centre, widened by the factor of shrinking, divided by what of it lies in the box.
double reference(const Image& image, const Framing& f, std::int64_t y, std::int64_t x,
                 std::int64_t c) {
  const auto weight = [](std::int64_t in, std::int64_t out, std::int64_t at, std::int64_t from) {
    const double factor = double(in) / double(out), width = factor > 1 ? factor : 1;
    const double distance = std::fabs((double(at) + 0.5) * factor - (double(from) + 0.5)) / width;
    return distance < 1 ? 1 - distance : 0;
  };
  double sum = 0, total = 0;
  for (std::int64_t i = 0; i < f.box.height; ++i) {
    for (std::int64_t j = 0; j < f.box.width; ++j) {
      const double w = weight(f.box.height, f.height, y + f.top, i) *
                       weight(f.box.width, f.width, x + f.left, j);
      sum += w * image.at(f.box.y + i, f.box.x + j, c);
      total += w;
    }
  }
  return sum / total;
}

void expect_reference(const Image& image, const Framing& f, std::int64_t height,
                      std::int64_t width) {
  const Image out = resize_bilinear(image, f, height, width);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < image.extent.channels; ++c) {
        // Rounding to the nearest level, and a hair for float.
        ASSERT_NEAR(out.at(y, x, c), reference(image, f, y, x, c), 0.501)
            << height << " x " << width << " at " << y << ", " << x;
      }
    }
  }
}

TEST(Resize, AgreesWithDoublePrecision) {
  std::uint32_t seed = 0;
  for (const ImageExtent extent : {ImageExtent{1, 1, 1}, {5, 7, 3}, {31, 17, 1}, {40, 53, 3}}) {
    for (const auto& [height, width] :
         {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 9}, {13, 5}, {32, 32}, {67, 41}}) {
      const Image image = random_image(extent, ++seed);
      expect_reference(image, {whole(extent), height, width, 0, 0}, height, width);
    }
  }
}

TEST(Resize, CutsABoxAndAWindow) {
  const Image image = random_image({30, 41, 3}, 9);
  expect_reference(image, {{3, 5, 20, 11}, 8, 9, 0, 0}, 8, 9);
  expect_reference(image, {{29, 40, 1, 1}, 6, 6, 1, 2}, 3, 3);
  expect_reference(image, {{0, 0, 30, 41}, 16, 21, 4, 10}, 12, 11);
  expect_reference(image, {{2, 2, 9, 9}, 33, 35, 20, 31}, 13, 4);
}

TEST(Resize, TheSameSizeIsACopy) {
  const Image image = random_image({9, 8, 3}, 4);
  Image out(image.extent);
  resize_bilinear(image, {whole(image.extent), 9, 8, 0, 0}, 9, 8, out.pixels.data());
  EXPECT_EQ(out.pixels, image.pixels);
  Image part({4, 3, 3});
  resize_bilinear(image, {{2, 3, 4, 3}, 4, 3, 0, 0}, 4, 3, part.pixels.data());
  for (std::int64_t y = 0; y < 4; ++y) {
    for (std::int64_t x = 0; x < 3; ++x) EXPECT_EQ(part.at(y, x, 1), image.at(y + 2, x + 3, 1));
  }
}

Image pillow_input() {
  Image image({7, 9, 1});
  for (std::int64_t y = 0; y < 7; ++y) {
    for (std::int64_t x = 0; x < 9; ++x) {
      image.at(y, x, 0) = static_cast<std::uint8_t>(37 * y * y + 91 * x + 13 * x * y);
    }
  }
  return image;
}

// Computed with Pillow 13, Image.resize((width, height), BILINEAR).
TEST(Resize, AgreesWithPillow) {
  const Image image = pillow_input();
  struct Case {
    Framing framing;
    std::vector<int> values;
  };
  const Box all = whole(image.extent);
  const std::vector<Case> cases = {
      {{all, 3, 4, 0, 0}, {98, 136, 131, 152, 124, 158, 137, 140, 135, 132, 115, 148}},
      {{all, 2, 9, 0, 0},
       {67, 113, 165, 146, 132, 149, 99, 193, 120, 102, 155, 143, 160, 106, 135, 93, 176, 134}},
      {{all, 7, 3, 0, 0}, {82,  108, 134, 135, 140, 163, 102, 161, 138, 144, 142,
                           155, 163, 140, 117, 128, 98,  154, 135, 131, 137}},
      {{all, 1, 1, 0, 0}, {134}},
      {{{1, 2, 5, 6}, 4, 4, 0, 0},
       {184, 150, 113, 199, 153, 154, 161, 161, 150, 155, 117, 129, 173, 89, 110, 150}},
  };
  for (const Case& c : cases) {
    std::vector<std::uint8_t> out(c.values.size());
    resize_bilinear(image, c.framing, c.framing.height, c.framing.width, out.data());
    for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], c.values[i], 1) << i;
  }
}

// The picture's pixels that are read, and no others: those are overwritten before.
std::vector<std::uint8_t> resized(Resizer& resizer, const Image& image, const Region& region,
                                  std::int64_t height, std::int64_t width) {
  const Box part = resizer.plan(region, {{}, height, width, 0, 0}, height, width);
  Image needed(image.extent);
  std::fill(needed.pixels.begin(), needed.pixels.end(), std::uint8_t{255});
  const std::int64_t channels = image.extent.channels;
  for (std::int64_t y = part.y; y < part.y + part.height; ++y) {
    for (std::int64_t x = part.x; x < part.x + part.width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) needed.at(y, x, c) = image.at(y, x, c);
    }
  }
  std::vector<std::uint8_t> out(static_cast<std::size_t>(height * width * channels));
  const std::int64_t stride = image.extent.width * channels;
  resizer.run(needed.pixels.data() + part.y * stride + part.x * channels, stride, channels,
              out.data());
  return out;
}

// Computed with Pillow 13: crop(the pixels touched).resize((width, height), BILINEAR, box =
// region).
TEST(Resize, AgreesWithPillowOnBordersWithinPixels) {
  struct Case {
    Region region;
    std::int64_t height, width;
    std::vector<int> values;
  };
  const std::vector<Case> cases = {
      {{0.5, 1.25, 5.5, 6.75},
       4,
       4,
       {160, 122, 120, 159, 117, 167, 153, 161, 159, 169, 124, 136, 149, 125, 102, 140}},
      {{1.375, 0.5, 3.25, 7.625},
       3,
       5,
       {98, 169, 152, 124, 177, 109, 148, 152, 157, 155, 156, 159, 151, 119, 133}},
      {{0, 0, 6.5, 8.5}, 3, 4, {94, 136, 127, 151, 120, 159, 141, 144, 134, 139, 111, 144}},
      {{2.25, 3.5, 0.5, 1.0}, 2, 3, {220, 174, 127, 220, 174, 127}},
      {{1.5, 2.5, 4, 4},
       4,
       4,
       {177, 160, 142, 125, 166, 161, 157, 152, 164, 173, 117, 126, 173, 130, 88, 109}},
  };
  Resizer resizer;
  for (const Case& c : cases) {
    const auto out = resized(resizer, pillow_input(), c.region, c.height, c.width);
    for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], c.values[i], 1) << i;
  }
}

// The reference: each output's triangle over the pixels that the region touches.
TEST(Resize, FractionalRegionsAgreeWithDoublePrecision) {
  std::mt19937 engine(3);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution(low, high)(engine);
  };
  Resizer resizer;  // one for all, so that what is left of one case would show in the next
  for (int i = 0; i < 60; ++i) {
    const std::int64_t channels = i % 3 == 0 ? 1 : 3;
    const Image image = random_image({31, 44, channels}, static_cast<std::uint32_t>(i));
    Region r{uniform(0, 25), uniform(0, 40), 0, 0};
    r.height = uniform(0.5, 31 - r.y);
    r.width = uniform(0.5, 44 - r.x);
    const std::int64_t height = 1 + engine() % 40, width = 1 + engine() % 40;
    const auto out = resized(resizer, image, r, height, width);
    const auto weight = [](double begin, double extent, std::int64_t count, std::int64_t at,
                           std::int64_t from) {
      if (double(from) < std::floor(begin) || double(from) >= std::ceil(begin + extent)) return 0.0;
      const double factor = extent / double(count), reach = factor > 1 ? factor : 1;
      const double centre = begin + (double(at) + 0.5) * factor;
      return std::fmax(0, 1 - std::fabs(double(from) + 0.5 - centre) / reach);
    };
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        for (std::int64_t c = 0; c < channels; ++c) {
          double sum = 0, total = 0;
          for (std::int64_t v = 0; v < 31; ++v) {
            for (std::int64_t u = 0; u < 44; ++u) {
              const double w =
                  weight(r.y, r.height, height, y, v) * weight(r.x, r.width, width, x, u);
              sum += w * image.at(v, u, c);
              total += w;
            }
          }
          ASSERT_NEAR(out[static_cast<std::size_t>((y * width + x) * channels + c)], sum / total,
                      0.501)
              << "case " << i << " at " << y << ", " << x;
        }
      }
    }
  }
}

TEST(Resize, KeepsAFlatPictureFlat) {
  for (const int level : {0, 1, 127, 254, 255}) {
    Image image({37, 23, 3});
    std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(level));
    Image out({11, 50, 3});
    resize_bilinear(image, {whole(image.extent), 11, 50, 0, 0}, 11, 50, out.pixels.data());
    for (const std::uint8_t p : out.pixels) ASSERT_EQ(p, level);
  }
}

TEST(Resize, RefusesWhatLeavesThePicture) {
  const Image image({4, 5, 1});
  std::uint8_t out[64];
  const auto refused = [&](const Framing& f, std::int64_t height, std::int64_t width) {
    EXPECT_THROW(resize_bilinear(image, f, height, width, out), Error);
  };
  refused({{0, 0, 5, 5}, 2, 2, 0, 0}, 2, 2);
  refused({{0, 1, 4, 5}, 2, 2, 0, 0}, 2, 2);
  refused({{-1, 0, 2, 2}, 2, 2, 0, 0}, 2, 2);
  refused({{0, 0, 0, 2}, 2, 2, 0, 0}, 2, 2);
  refused({{0, 0, 4, 5}, 2, 2, 1, 0}, 2, 2);
  refused({{0, 0, 4, 5}, 2, 2, 0, 0}, 2, 3);
  refused({{0, 0, 4, 5}, 2, 2, 0, 0}, 0, 2);
}

}  // namespace
}  // namespace convoy::data
