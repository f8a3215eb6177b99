// SPDX-License-Identifier: MIT
#include "data/jpeg_decoder.h"

#include <random>

#include "tests/data/jpeg_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;
using testing::JpegKind;
using testing::speckled;
using testing::write_jpeg;

// Every way in which chroma is stored or coefficients come.
const std::vector<std::pair<std::string, JpegKind>> kKinds = {
    {"4:4:4", {.h = 1, .v = 1}},
    {"4:2:2", {.h = 2, .v = 1}},
    {"4:2:0", {.h = 2, .v = 2}},
    {"4:4:0", {.h = 1, .v = 2}},
    {"4:1:1", {.h = 4, .v = 1}},
    {"4:1:0", {.h = 4, .v = 2}},
    {"grey", {.space = JCS_GRAYSCALE}},
    {"grey, sampled 2 x 2", {.space = JCS_GRAYSCALE, .h = 2, .v = 2}},
    {"CMYK", {.space = JCS_CMYK}},
    {"CMYK, 2 x 2", {.space = JCS_CMYK, .h = 2, .v = 2}},
    {"progressive", {.progressive = true}},
    {"progressive 4:2:2", {.progressive = true, .h = 2, .v = 1}},
    {"progressive 4:4:0", {.progressive = true, .h = 1, .v = 2}},
    {"progressive, coarse", {.coarse = true, .h = 2, .v = 2}},
    {"separate scans", {.separate_scans = true}},
    {"restarts", {.restart_rows = 1}},
    {"restarts, progressive", {.progressive = true, .restart_rows = 1}},
};

std::int64_t channels_of(const JpegKind& kind) {
  return kind.space == JCS_CMYK ? 4 : kind.space == JCS_GRAYSCALE ? 1 : 3;
}

Image decode(JpegDecoder& jpeg, const Bytes& file, int eighths) {
  jpeg.open(file, "whole.jpg");
  const ImageExtent extent = jpeg.scaled(eighths);
  EXPECT_EQ(jpeg.start(whole(extent), eighths), whole(extent));
  Image image(extent);
  jpeg.read(image.pixels.data());
  return image;
}

// The wanted part, cut out of what covers it.
Image decode_part(JpegDecoder& jpeg, const Bytes& file, int eighths, const Box& wanted) {
  jpeg.open(file, "part.jpg");
  const Box part = jpeg.start(wanted, eighths);
  Image cover({part.height, part.width, 3}), image({wanted.height, wanted.width, 3});
  jpeg.read(cover.pixels.data());
  for (std::int64_t y = 0; y < wanted.height; ++y) {
    for (std::int64_t x = 0; x < wanted.width; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) {
        image.at(y, x, c) = cover.at(y + wanted.y - part.y, x + wanted.x - part.x, c);
      }
    }
  }
  return image;
}

void expect_part(const Image& found, const Image& all, const Box& box) {
  for (std::int64_t y = 0; y < box.height; ++y) {
    for (std::int64_t x = 0; x < box.width; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) {
        ASSERT_EQ(found.at(y, x, c), all.at(box.y + y, box.x + x, c))
            << "pixel " << box.y + y << ", " << box.x + x << " channel " << c << " of the part "
            << box.height << " x " << box.width << " at " << box.y << ", " << box.x;
      }
    }
  }
}

std::int64_t below(std::mt19937& engine, std::int64_t bound) {
  return static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(bound));
}

TEST(JpegDecoder, APartIsAPartOfTheWhole) {
  std::mt19937 engine(7);
  JpegDecoder jpeg({});
  for (const auto& [name, kind] : kKinds) {
    for (const auto& [height, width] :
         {std::pair<std::int64_t, std::int64_t>{70, 101}, {33, 16}, {1, 50}, {50, 1}, {129, 67}}) {
      const Bytes file = write_jpeg(speckled(height, width, channels_of(kind)), kind);
      for (int eighths = 1; eighths <= 8; ++eighths) {
        SCOPED_TRACE(name + ", " + std::to_string(height) + " x " + std::to_string(width) + ", " +
                     std::to_string(eighths) + "/8");
        const Image all = decode(jpeg, file, eighths);
        for (int i = 0; i < 12; ++i) {
          Box box{below(engine, all.extent.height), below(engine, all.extent.width), 1, 1};
          box.height += below(engine, all.extent.height - box.y);
          box.width += below(engine, all.extent.width - box.x);
          expect_part(decode_part(jpeg, file, eighths, box), all, box);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(JpegDecoder, EveryColumnOfEveryPlaceIsRight) {
  JpegDecoder jpeg({});
  for (const auto& [name, kind] : kKinds) {
    const Bytes file = write_jpeg(speckled(40, 75, channels_of(kind)), kind);
    for (const int eighths : {8, 5}) {
      SCOPED_TRACE(name);
      const Image all = decode(jpeg, file, eighths);
      for (std::int64_t at = 0; at < all.extent.width; ++at) {
        const Box box{at % all.extent.height, at, 1, 1};
        expect_part(decode_part(jpeg, file, eighths, box), all, box);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(JpegDecoder, APartCostsNoMoreThanIsAround) {
  JpegDecoder jpeg({});
  const Bytes file = write_jpeg(speckled(320, 320), {.h = 2, .v = 2});
  jpeg.open(file, "x");
  const Box part = jpeg.start({100, 100, 64, 64}, 8);
  EXPECT_EQ(part.height, 64);
  EXPECT_LE(part.width, 64 + 2 * 4 + 15);
}

Bytes without(std::uint8_t segment, Bytes file) {
  for (std::size_t at = 2; at < file.size() && file[at + 1] != 0xda;) {
    const std::size_t length = 2 + (std::size_t{file[at + 2]} << 8 | file[at + 3]);
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    if (file[at + 1] == segment) {
      file.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
    } else {
      at += length;
    }
  }
  return file;
}

// A picture must not be decoded with the tables of the one before. Without tables for quantisation
// it cannot be decoded; those for Huffman codes have standard values, which progressive files do
// not use.
TEST(JpegDecoder, NothingIsLeftOfThePictureBefore) {
  const Image image = speckled(40, 40);
  const Bytes file = write_jpeg(image), other = write_jpeg(image, {.progressive = true});
  JpegDecoder jpeg({});
  const Image first = decode(jpeg, file, 8);
  expect_data_error([&] { decode(jpeg, without(0xdb, file), 8); }, {"whole.jpg", "table"});
  EXPECT_EQ(decode(jpeg, other, 8).pixels, first.pixels);
  EXPECT_EQ(decode(jpeg, without(0xc4, file), 8).pixels, first.pixels);
}

TEST(JpegDecoder, GoesOnAfterAnError) {
  JpegDecoder jpeg({});
  for (const JpegKind& kind : {JpegKind{}, JpegKind{.progressive = true}}) {
    const Bytes file = write_jpeg(speckled(64, 64), kind);
    const Image all = decode(jpeg, file, 8);
    for (std::size_t size = 0; size < file.size(); size += 37) {
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      expect_data_error([&] { decode(jpeg, cut, 8); }, {"whole.jpg"});
    }
    EXPECT_EQ(decode(jpeg, file, 8).pixels, all.pixels);
  }
}

TEST(JpegDecoder, ACutIsNoticedWhateverPartIsWanted) {
  JpegDecoder jpeg({});
  for (const JpegKind& kind : {JpegKind{.h = 2, .v = 2}, JpegKind{.progressive = true}}) {
    const Bytes file = write_jpeg(speckled(120, 50), kind);
    for (std::size_t size = 0; size < file.size(); ++size) {
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      expect_data_error([&] { decode_part(jpeg, cut, 8, {0, 0, 5, 5}); }, {"part.jpg"});
    }
    Bytes longer = file;
    longer.insert(longer.end(), 5000, 0xff);
    EXPECT_NO_THROW(decode_part(jpeg, longer, 8, {0, 0, 5, 5}));
  }
}

TEST(JpegDecoder, DamageBelowThePartIsNoticedByTheWholeAlone) {
  Bytes file = write_jpeg(speckled(200, 64), {.restart_rows = 1});
  const std::size_t last = testing::find_marker(file, 0xd3, testing::find_marker(file, 0xda));
  file[last + 1] = 0xd7;
  JpegDecoder jpeg({});
  EXPECT_NO_THROW(decode_part(jpeg, file, 8, {0, 0, 20, 64}));
  expect_data_error([&] { decode(jpeg, file, 8); }, {"whole.jpg"});
  EXPECT_NO_THROW(decode_image(file, "x", {.damage = Damage::accept}));
}

TEST(JpegDecoder, ThePartMustLieInThePicture) {
  JpegDecoder jpeg({});
  const Bytes file = write_jpeg(speckled(20, 30));
  for (const Box& box : {Box{0, 0, 21, 1}, Box{0, 0, 0, 1}, Box{-1, 0, 2, 2}, Box{0, 30, 1, 1}}) {
    jpeg.open(file, "x");
    EXPECT_THROW(jpeg.start(box, 8), Error);
  }
  jpeg.open(file, "x");
  EXPECT_THROW(jpeg.start({0, 0, 10, 15}, 9), Error);
  EXPECT_EQ(jpeg.scaled(1), (ImageExtent{3, 4, 3}));
}

// The limit counts what libjpeg asks for, and the memory is used again.
TEST(JpegDecoder, TheMemoryLimitHoldsForEachPicture) {
  const Bytes file = write_jpeg(speckled(256, 256), {.progressive = true});
  JpegDecoder jpeg({.max_decoder_bytes = 1'000'000});
  for (int i = 0; i < 20; ++i) EXPECT_NO_THROW(decode(jpeg, file, 8));
  const Bytes large = write_jpeg(speckled(512, 512), {.progressive = true, .h = 1, .v = 1});
  expect_data_error([&] { decode(jpeg, large, 8); }, {"limit of 1000000 bytes"});
  EXPECT_NO_THROW(decode(jpeg, file, 8));
}

}  // namespace
}  // namespace convoy::data
