// SPDX-License-Identifier: MIT
#include "data/synth.h"

#include <cmath>

#include "data/image_folder.h"
#include "tests/data/files.h"

namespace convoy::data {
namespace {

using testing::expect_error;
using testing::TempFolder;

TEST(Synth, TheSameOptionsGiveTheSameBytes) {
  const SynthOptions options{.train_per_class = 2, .val_per_class = 1, .size = 24, .seed = 5};
  const TempFolder folder;
  write_synth(folder.path() / "a", options);
  write_synth(folder.path() / "b", options);
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path() / "a")) {
    if (!entry.is_regular_file()) continue;
    const auto other = folder.path() / "b" / entry.path().lexically_relative(folder.path() / "a");
    EXPECT_EQ(read_file(entry.path(), 1 << 20), read_file(other, 1 << 20)) << other;
    ++files;
  }
  EXPECT_EQ(files, 30);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "a/train/7/00002.jpg"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "a/val/0/00001.jpg"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.partial"));
  const auto set = open_image_folder(folder.path() / "a", "train");
  EXPECT_EQ(set->num_classes(), 10);
  EXPECT_EQ(set->get(19).image.extent, (ImageExtent{24, 24, 3}));
}

TEST(Synth, EveryKeyMatters) {
  const SynthOptions options{.seed = 1};
  const Image one = draw_digit(3, SynthSplit::train, 1, options);
  EXPECT_EQ(one.pixels, draw_digit(3, SynthSplit::train, 1, options).pixels);
  EXPECT_NE(one.pixels, draw_digit(3, SynthSplit::train, 2, options).pixels);
  EXPECT_NE(one.pixels, draw_digit(3, SynthSplit::val, 1, options).pixels);
  EXPECT_NE(one.pixels, draw_digit(4, SynthSplit::train, 1, options).pixels);
  EXPECT_NE(one.pixels, draw_digit(3, SynthSplit::train, 1, {.seed = 2}).pixels);
}

// A drawn digit stands out: the brightest and the darkest tenth of its pixels lie well apart, and
// the stroke covers a part of the picture but not most of it.
TEST(Synth, DigitsCanBeSeen) {
  for (int digit = 0; digit < 10; ++digit) {
    for (int index = 1; index <= 20; ++index) {
      const Image image = draw_digit(digit, SynthSplit::train, index, {.seed = 9});
      std::vector<double> light;
      for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
        light.push_back(0.3 * image.pixels[i] + 0.59 * image.pixels[i + 1] +
                        0.11 * image.pixels[i + 2]);
      }
      const double corner = light[0] + light[31] + light[31 * 32] + light[32 * 32 - 1];
      int inked = 0;
      for (const double l : light) inked += std::abs(l - corner / 4) > 40;
      EXPECT_GT(inked, 25) << digit << " " << index;
      EXPECT_LT(inked, 600) << digit << " " << index;
    }
  }
}

TEST(Synth, OverwritesNothing) {
  const TempFolder folder;
  folder.write("full/file", testing::Bytes{1});
  const SynthOptions small{.train_per_class = 1, .val_per_class = 1, .size = 16};
  expect_error(ErrorKind::usage, [&] { write_synth(folder.path() / "full", small); },
               {"full", "empty"});
  expect_error(ErrorKind::usage, [&] { write_synth(folder.path() / "full/file", small); },
               {"file"});
  std::filesystem::create_directories(folder.path() / "empty");
  write_synth(folder.path() / "empty", small);
  write_synth((folder.path() / "new/folder/").string(), small);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "empty/val/9/00001.jpg"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "new/folder/val/9/00001.jpg"));
}

TEST(Synth, RefusesOptionsOutOfRange) {
  const TempFolder folder;
  const auto refused = [&](const SynthOptions& options, const std::string& what) {
    expect_error(ErrorKind::usage, [&] { write_synth(folder.path() / "x", options); }, {what});
  };
  refused({.train_per_class = 0}, "train images");
  refused({.val_per_class = 70000}, "validation images");
  refused({.size = 8}, "size");
  refused({.size = 512}, "size");
  refused({.quality = 0}, "quality");
  EXPECT_THROW(draw_digit(10, SynthSplit::train, 1, {}), Error);
  EXPECT_THROW(draw_digit(1, SynthSplit::train, 0, {}), Error);
}

}  // namespace
}  // namespace convoy::data
