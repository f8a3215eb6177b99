// SPDX-License-Identifier: MIT
#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/data/files.h"
#include "tests/data/jpeg_files.h"

namespace convoy::data {
namespace {

using Pixels = std::string;  // compares
using Colour = std::array<std::uint8_t, 3>;

Image augmented(Image image, const Augmentation& a, const SampleDraw& draw) {
  Augmenter(a).run({image.pixels.data(), image.extent}, draw);
  return image;
}

Pixels pixels_of(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

std::vector<Augmentation> kinds() {
  return {{.jitter = {0.4, 0.4, 0.4, 0.1}},
          {.rand_augment = {2, 9}},
          {.erasing = {.probability = 0.7}},
          {.cutout = 8},
          {.jitter = {.brightness = 0.2}, .rand_augment = {3, 20}, .erasing = {.probability = 1}}};
}

TEST(Augment, DependsOnTheKeyAlone) {
  const Image image = testing::speckled(32, 40);
  for (const Augmentation& a : kinds()) {
    Augmenter used(a);
    for (std::int64_t i = 0; i < 20; ++i) {
      const SampleDraw draw{.seed = 3, .epoch = i % 3, .index = i};
      Image again = image;
      used.run({again.pixels.data(), again.extent}, draw);
      EXPECT_EQ(again.pixels, augmented(image, a, draw).pixels);
    }
    const auto different = [&](auto&& key) {
      std::set<Pixels> seen;
      for (std::int64_t i = 0; i < 20; ++i) seen.insert(pixels_of(augmented(image, a, key(i))));
      return seen.size();
    };
    EXPECT_GT(different([](std::int64_t i) { return SampleDraw{.index = i}; }), 8U);
    EXPECT_GT(different([](std::int64_t i) { return SampleDraw{.epoch = i}; }), 8U);
    EXPECT_GT(different([](std::int64_t i) { return SampleDraw{.seed = std::uint64_t(i)}; }), 8U);
  }
}

TEST(Augment, DefaultsChangeNothing) {
  const Image image = testing::speckled(16, 16);
  EXPECT_FALSE(Augmentation{}.changes_pixels());
  EXPECT_EQ(augmented(image, {}, {}).pixels, image.pixels);
  for (const Augmentation& a : kinds()) EXPECT_TRUE(a.changes_pixels());
}

// torch.linspace and friends in torchvision's RandAugment._augmentation_space, for 24 x 16 pixels,
// in its order of operations.
TEST(Augment, RandAugmentsStrengthsAreTorchvisions) {
  const std::vector<std::pair<int, std::vector<double>>> rows = {
      {0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 255, 0, 0}},
      {1, {0, 0.01, 0.01, 0, 0, 1, 0.03, 0.03, 0.03, 0.03, 8, 246.5, 0, 0}},
      {9, {0, 0.09, 0.09, 3, 2, 9, 0.27, 0.27, 0.27, 0.27, 7, 178.5, 0, 0}},
      {17, {0, 0.17, 0.17, 6, 4, 17, 0.51, 0.51, 0.51, 0.51, 6, 110.5, 0, 0}},
      {30, {0, 0.3, 0.3, 10, 7, 30, 0.9, 0.9, 0.9, 0.9, 4, 0, 0, 0}},
  };
  for (const auto& [magnitude, strengths] : rows) {
    for (int op = 0; op < kRandOps; ++op) {
      EXPECT_NEAR(rand_strength(RandOp(op), magnitude, {16, 24, 3}),
                  strengths[static_cast<std::size_t>(op)], 1e-9)
          << magnitude << ", " << op;
    }
  }
}

// One operation at a time: each result is one of the 23 that there are, and all of them come up.
TEST(Augment, RandAugmentDrawsEveryOperationWithEitherSign) {
  const Image image = testing::speckled(24, 24);
  std::vector<Pixels> possible;
  std::vector<std::uint8_t> scratch;
  for (int op = 0; op < kRandOps; ++op) {
    const double strength = rand_strength(RandOp(op), 9, image.extent);
    for (const double sign : {1.0, -1.0}) {
      if (sign < 0 && !has_sign(RandOp(op))) continue;
      Image out = image;
      apply(RandOp(op), sign * strength, {out.pixels.data(), out.extent}, scratch);
      possible.push_back(pixels_of(out));
    }
  }
  EXPECT_EQ(possible.size(), 23U);
  EXPECT_EQ(std::set<Pixels>(possible.begin(), possible.end()).size(), 23U) << "all differ";
  std::vector<int> counts(possible.size());
  constexpr int kDraws = 2800;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    const Image out = augmented(image, {.rand_augment = {1, 9}}, {.index = i});
    const auto at = std::find(possible.begin(), possible.end(), pixels_of(out));
    ASSERT_NE(at, possible.end()) << i;
    ++counts[static_cast<std::size_t>(at - possible.begin())];
  }
  // 200 of each operation, 100 of each sign; five standard deviations are 68 and 49.
  std::size_t k = 0;
  for (int op = 0; op < kRandOps; ++op) {
    const int signs = has_sign(RandOp(op)) ? 2 : 1;
    for (int s = 0; s < signs; ++s) {
      EXPECT_NEAR(counts[k++], 200 / signs, signs == 2 ? 49 : 68) << op;
    }
  }
}

TEST(Augment, OperationsFollowEachOther) {
  const Image image = testing::speckled(24, 24);
  int same = 0;
  for (std::int64_t i = 0; i < 200; ++i) {
    same += augmented(image, {.rand_augment = {2, 9}}, {.index = i}).pixels ==
            augmented(image, {.rand_augment = {1, 9}}, {.index = i}).pixels;
  }
  // Where the second changes nothing, one time in fourteen or a little more often.
  EXPECT_GT(same, 0);
  EXPECT_LT(same, 50);
}

// The rectangle around the pixels that are blank, and how many they are.
struct Blank {
  std::int64_t count = 0, height = 0, width = 0;
};

Blank blank_of(const Image& image, const Colour& colour) {
  std::int64_t count = 0, top = 1000, left = 1000, bottom = -1, right = -1;
  for (std::int64_t y = 0; y < image.extent.height; ++y) {
    for (std::int64_t x = 0; x < image.extent.width; ++x) {
      if (image.at(y, x, 0) != colour[0] || image.at(y, x, 2) != colour[2]) continue;
      ++count;
      top = std::min(top, y);
      left = std::min(left, x);
      bottom = std::max(bottom, y);
      right = std::max(right, x);
    }
  }
  if (count == 0) return {};
  return {count, bottom - top + 1, right - left + 1};
}

TEST(Augment, RandomErasingBlanksPartsOfTheStatedSizes) {
  const Image image = testing::gradient(60, 80);
  const Colour colour = {1, 2, 3};
  int erased = 0;
  double least = 1, most = 0, flattest = 10, highest = 0;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Image out = augmented(image, {.erasing = {.probability = 0.25}, .blank = colour},
                                {.epoch = 5, .index = i});
    const Blank b = blank_of(out, colour);
    if (b.count == 0) {
      EXPECT_EQ(out.pixels, image.pixels);
      continue;
    }
    ++erased;
    ASSERT_EQ(b.count, b.height * b.width);
    least = std::min(least, double(b.count) / 4800);
    most = std::max(most, double(b.count) / 4800);
    flattest = std::min(flattest, double(b.height) / double(b.width));
    highest = std::max(highest, double(b.height) / double(b.width));
  }
  EXPECT_NEAR(erased, 500, 97);  // five standard deviations
  EXPECT_NEAR(least, 0.02, 0.004);
  EXPECT_NEAR(most, 0.33, 0.02);
  EXPECT_NEAR(flattest, 0.3, 0.05);
  EXPECT_NEAR(highest, 3.3, 0.5);
}

TEST(Augment, CutoutBlanksASquareWhoseMiddleIsInThePicture) {
  const Image image = testing::gradient(32, 32);
  const Colour colour = {1, 2, 3};
  int complete = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Blank b =
        blank_of(augmented(image, {.cutout = 12, .blank = colour}, {.index = i}), colour);
    ASSERT_EQ(b.count, b.height * b.width);
    ASSERT_GE(b.height, 6);
    ASSERT_LE(b.height, 12);
    ASSERT_GE(b.width, 6);
    ASSERT_LE(b.width, 12);
    complete += b.count == 144;
  }
  EXPECT_NEAR(complete, 431, 78);  // (21 / 32)^2 of 1000, five standard deviations
}

TEST(Augment, JitterKeepsToItsRanges) {
  Image flat({4, 4, 3});
  std::fill(flat.pixels.begin(), flat.pixels.end(), std::uint8_t{100});
  int least = 255, most = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Image out = augmented(flat, {.jitter = {.brightness = 0.4}}, {.index = i});
    least = std::min<int>(least, out.pixels[0]);
    most = std::max<int>(most, out.pixels[0]);
  }
  EXPECT_NEAR(least, 60, 1);
  EXPECT_NEAR(most, 139, 1);
}

// Brightness and contrast do not commute, and both orders come up.
TEST(Augment, JitterChangesItsOrder) {
  const Image image = testing::speckled(16, 16);
  const Augmentation a{.jitter = {.brightness = 0.5, .contrast = 0.5}};
  int brightness_first = 0, contrast_first = 0;
  for (std::int64_t i = 0; i < 50; ++i) {
    Image first = image, second = image;
    const SampleDraw draw{.index = i};
    const PhiloxWords word = random_words(kJitterStream, draw, 0);
    const double brightness = between(word[0], 0.5, 1.5), contrast = between(word[1], 0.5, 1.5);
    adjust_brightness({first.pixels.data(), first.extent}, brightness);
    adjust_contrast({first.pixels.data(), first.extent}, contrast);
    adjust_contrast({second.pixels.data(), second.extent}, contrast);
    adjust_brightness({second.pixels.data(), second.extent}, brightness);
    const Image out = augmented(image, a, draw);
    ASSERT_TRUE(out.pixels == first.pixels || out.pixels == second.pixels) << i;
    brightness_first += out.pixels != second.pixels;
    contrast_first += out.pixels != first.pixels;
  }
  EXPECT_GE(brightness_first, 10);
  EXPECT_GE(contrast_first, 10);
}

TEST(Augment, GreyRowsTakeEverything) {
  const Image image = testing::gradient(28, 28, 1);
  for (const Augmentation& a : kinds()) {
    for (std::int64_t i = 0; i < 50; ++i) EXPECT_NO_THROW(augmented(image, a, {.index = i}));
  }
  EXPECT_THROW(augmented(Image({4, 4, 2}), kinds()[0], {}), Error);
}

TEST(Augment, ValuesOutOfRangeAreRefused) {
  const auto refused = [](const Augmentation& a, const char* what) {
    testing::expect_error(ErrorKind::usage, [&] { check(a); }, {what});
  };
  refused({.hflip = 1.5}, "hflip");
  refused({.jitter = {.brightness = -1}}, "brightness");
  refused({.jitter = {.hue = 0.6}}, "hue");
  refused({.jitter = {.contrast = std::nan("")}}, "contrast");
  refused({.rand_augment = {17, 9}}, "operations");
  refused({.rand_augment = {2, 31}}, "magnitude");
  refused({.erasing = {.probability = -0.1}}, "random erasing");
  refused({.erasing = {.probability = 1, .scale_min = 0.5, .scale_max = 0.4}}, "scale");
  refused({.erasing = {.probability = 1, .ratio_min = 0}}, "ratio");
  refused({.cutout = -1}, "cutout");
  for (const Augmentation& a : kinds()) EXPECT_NO_THROW(check(a));
}

}  // namespace
}  // namespace convoy::data
