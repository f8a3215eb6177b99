// SPDX-License-Identifier: MIT
#include "data/transforms.h"

#include <cmath>
#include <set>

#include "tests/data/files.h"

namespace convoy::data {
namespace {

TEST(Transforms, ShiftsAndFlipsAreDrawnEvenly) {
  const Augmentation a{.padding = 2, .hflip = 0.25};
  std::vector<int> y(5), x(5);
  int flips = 0;
  constexpr int kDraws = 5000;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    const ImageRow row = draw_row(a, {.seed = 1, .epoch = i % 7, .index = i});
    ASSERT_LE(std::abs(row.offset_y), 2);
    ASSERT_LE(std::abs(row.offset_x), 2);
    ++y[static_cast<std::size_t>(row.offset_y + 2)];
    ++x[static_cast<std::size_t>(row.offset_x + 2)];
    flips += row.flip;
  }
  // Five standard deviations of a count of 1000 are 141, of 1250 are 153.
  for (const int count : y) EXPECT_NEAR(count, 1000, 141);
  for (const int count : x) EXPECT_NEAR(count, 1000, 141);
  EXPECT_NEAR(flips, 1250, 153);
}

TEST(Transforms, DefaultsChangeNothing) {
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(draw_row({}, {.index = i}), ImageRow{});
  EXPECT_FALSE(Augmentation{}.crops());
  for (std::int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(draw_row({.hflip = 1}, {.index = i}), (ImageRow{0, 0, 1}));
  }
}

// As the CIFAR-10 speed records do it: drawn once, then in turns.
TEST(Transforms, AlternatingFlipsShowEachSampleBothWaysInTurns) {
  const Augmentation a{.padding = 2, .hflip = 0.5, .alternate_flip = true};
  int first = 0;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const int begin = draw_row(a, {.seed = 9, .epoch = 0, .index = i}).flip;
    first += begin;
    for (std::int64_t epoch = 1; epoch < 6; ++epoch) {
      ASSERT_EQ(draw_row(a, {.seed = 9, .epoch = epoch, .index = i}).flip, (begin + epoch) % 2);
    }
  }
  EXPECT_NEAR(first, 1000, 112);  // five standard deviations
  EXPECT_NE(draw_row(a, {.epoch = 1, .index = 4}), draw_row(a, {.epoch = 3, .index = 4}))
      << "shifts are drawn anew";
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    EXPECT_EQ(draw_row({.alternate_flip = true}, {.epoch = epoch}).flip, 0) << "no flip, no turns";
  }
}

TEST(Transforms, EveryKeyMatters) {
  const Augmentation a{.padding = 100, .hflip = 0.5, .scale_min = 0.1};
  const SampleDraw base{.seed = 1, .epoch = 2, .index = 3};
  const ImageExtent image{300, 400, 3}, row{32, 32, 3};
  EXPECT_EQ(draw_row(a, base), draw_row(a, base));
  for (const SampleDraw& other : {SampleDraw{2, 2, 3}, SampleDraw{1, 3, 3}, SampleDraw{1, 2, 4}}) {
    EXPECT_NE(draw_row(a, base), draw_row(a, other));
    EXPECT_NE(random_resized_crop(image, row, a, base), random_resized_crop(image, row, a, other));
  }
}

TEST(Transforms, RandomCropsKeepToTheirBounds) {
  const Augmentation a{.scale_min = 0.08, .ratio_min = 0.75, .ratio_max = 4.0 / 3};
  const ImageExtent image{240, 320, 3};
  const double area = 240.0 * 320;
  double smallest = 1, largest = 0;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const Framing f = random_resized_crop(image, {32, 32, 3}, a, {.index = i});
    ASSERT_GE(f.box.y, 0);
    ASSERT_GE(f.box.x, 0);
    ASSERT_LE(f.box.y + f.box.height, 240);
    ASSERT_LE(f.box.x + f.box.width, 320);
    const double part = double(f.box.height * f.box.width) / area;
    const double ratio = double(f.box.width) / double(f.box.height);
    ASSERT_NEAR(ratio, std::clamp(ratio, 0.73, 1.36), 1e-9);
    smallest = std::min(smallest, part);
    largest = std::max(largest, part);
    EXPECT_EQ(f.height, 32);
    EXPECT_EQ(f.top, 0);
  }
  EXPECT_NEAR(smallest, 0.08, 0.01);
  EXPECT_GT(largest, 0.9);
}

TEST(Transforms, RandomWindowsReachEveryPlaceAndAreNotScaled) {
  std::set<std::pair<std::int64_t, std::int64_t>> places;
  for (std::int64_t index = 0; index < 400; ++index) {
    const Framing f = random_window({8, 10, 3}, {6, 7, 3}, {.seed = 1, .index = index});
    EXPECT_EQ(f.box, (Box{0, 0, 8, 10}));
    EXPECT_EQ(f.height, 8);
    EXPECT_EQ(f.width, 10);
    places.insert({f.top, f.left});
  }
  EXPECT_EQ(places.size(), 3U * 4);  // tops 0 to 2, lefts 0 to 3
  EXPECT_EQ(places.rbegin()->first, 2);
}

TEST(Transforms, SmallPicturesAreScaledToCoverARandomWindow) {
  const Framing f = random_window({4, 10, 3}, {8, 8, 3}, {.seed = 1});
  EXPECT_EQ(f.height, 8);
  EXPECT_EQ(f.width, 20);
  EXPECT_EQ(f.top, 0);
  EXPECT_LE(f.left, 12);
}

TEST(Transforms, ImpossibleCropsTakeTheMiddle) {
  const Augmentation a{.scale_min = 0.9, .ratio_min = 0.75, .ratio_max = 4.0 / 3};
  EXPECT_EQ(random_resized_crop({10, 1000, 3}, {8, 8, 3}, a, {}).box, (Box{0, 493, 10, 13}));
  EXPECT_EQ(random_resized_crop({1000, 10, 3}, {8, 8, 3}, a, {}).box, (Box{493, 0, 13, 10}));
  EXPECT_EQ(random_resized_crop({1, 1, 3}, {8, 8, 3}, a, {}).box, (Box{0, 0, 1, 1}));
}

// torchvision: Resize(256) makes the shorter side 256 and the longer int(256 * long / short);
// CenterCrop(224) starts at round((side - 224) / 2).
TEST(Transforms, CentreCropIsTorchvisions) {
  for (std::int64_t height : {100, 223, 256, 333, 500, 1201}) {
    for (std::int64_t width : {100, 224, 301, 500, 777}) {
      const Framing f = centre_crop({height, width, 3}, {224, 224, 3}, 0.875);
      const std::int64_t shorter = std::min(height, width), longer = std::max(height, width);
      const auto scaled = 256 * longer / shorter;
      EXPECT_EQ(f.box, (Box{0, 0, height, width}));
      EXPECT_EQ(f.height, height <= width ? 256 : scaled);
      EXPECT_EQ(f.width, height <= width ? scaled : 256);
      EXPECT_NEAR(double(f.top), double(f.height - 224) / 2, 0.5);
      EXPECT_NEAR(double(f.left), double(f.width - 224) / 2, 0.5);
    }
  }
}

TEST(Transforms, CentreCropAlwaysCoversTheRow) {
  for (std::int64_t side = 1; side < 300; side += 7) {
    for (const ImageExtent row : {ImageExtent{32, 32, 3}, {20, 45, 3}, {1, 1, 3}}) {
      for (const double crop_pct : {0.5, 0.875, 0.95, 1.0}) {
        const Framing f = centre_crop({side, 301 - side, 3}, row, crop_pct);
        ASSERT_GE(f.height, row.height);
        ASSERT_GE(f.width, row.width);
        ASSERT_LE(f.top + row.height, f.height);
        ASSERT_LE(f.left + row.width, f.width);
      }
    }
  }
  EXPECT_EQ(centre_crop({32, 32, 3}, {32, 32, 3}, 1), (Framing{{0, 0, 32, 32}, 32, 32, 0, 0}));
}

}  // namespace
}  // namespace convoy::data
