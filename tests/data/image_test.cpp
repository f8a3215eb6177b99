// SPDX-License-Identifier: MIT
#include "data/image.h"

#include "tests/data/jpeg_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;

void expect_refused(const Bytes& file, const std::vector<std::string>& parts) {
  expect_data_error([&] { decode_image(file, "some.file"); }, parts);
}

Bytes text(const std::string& s) { return {s.begin(), s.end()}; }

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Image, OtherFormatsAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GIF89a......", "GIF"},
      {"RIFF....WEBPVP8 ", "WebP"},
      {std::string("II*\0....", 8), "TIFF"},
      {std::string("MM\0*....", 8), "TIFF"},
      {"....ftypavif", "AVIF"},
      {"....ftypheic", "HEIC"},
      {"\xff\x0a....", "JPEG XL"},
      {std::string("\0\0\0\x0cjP  ....", 12), "JPEG 2000"},
      {std::string("\0\0\1\0\1\0", 6), "ICO"},
      {"8BPS....", "PSD"},
      {"<svg xmlns", "SVG"},
      {"<!DOCTYPE html>", "HTML"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS"}};
  for (const auto& [start, name] : cases) {
    expect_refused(text(start), {"some.file", "expected JPEG, PNG, BMP or PNM", name});
  }
  expect_refused({}, {"empty file"});
  expect_refused(text("hello"), {"68 65 6c 6c 6f"});
}

TEST(Image, ContentCountsAndNotTheName) {
  const testing::TempFolder folder;
  const Bytes jpeg = testing::write_jpeg(testing::gradient(4, 6));
  EXPECT_EQ(read_image(folder.write("a.png", jpeg)).extent, (ImageExtent{4, 6, 3}));
  expect_data_error([&] { read_image(folder.path() / "none.jpg"); },
                    {"none.jpg", "cannot be opened"});
  expect_data_error([&] { read_image(folder.write("b.jpg", jpeg), {.max_file_bytes = 50}); },
                    {"at most 50 bytes"});
}

TEST(Image, ChangesItsChannels) {
  Image rgb({1, 3, 3});
  rgb.pixels = {255, 0, 0, 0, 255, 0, 10, 20, 30};
  EXPECT_EQ(with_channels(rgb, 1).pixels, (Bytes{76, 150, 18}));
  EXPECT_EQ(with_channels(rgb, 3).pixels, rgb.pixels);
  Image grey({1, 2, 1});
  grey.pixels = {4, 9};
  EXPECT_EQ(with_channels(grey, 3).pixels, (Bytes{4, 4, 4, 9, 9, 9}));
  EXPECT_EQ(with_channels(grey, 3).extent, (ImageExtent{1, 2, 3}));
  EXPECT_THROW(with_channels(grey, 4), Error);
}

TEST(Pnm, DecodesGreyAndColour) {
  EXPECT_EQ(decode_image(text("P5 2 1 255\n\x05\x80"), "x").pixels,
            (Bytes{5, 5, 5, 128, 128, 128}));
  EXPECT_EQ(decode_image(text("P6\n# a comment\n1 2\n255\nabcdef"), "x").pixels, text("abcdef"));
  EXPECT_EQ(decode_image(text("P6\n1 2 255\nabcdef and more"), "x").pixels, text("abcdef"));
}

TEST(Pnm, ScalesByTheLargestValue) {
  EXPECT_EQ(decode_image(text("P5 3 1 3 ") + Bytes{0, 1, 3}, "x").pixels,
            (Bytes{0, 0, 0, 85, 85, 85, 255, 255, 255}));
  EXPECT_EQ(decode_image(text("P5 2 1 65535 ") + Bytes{0x80, 0, 0xff, 0xff}, "x").pixels,
            (Bytes{128, 128, 128, 255, 255, 255}));
  expect_refused(text("P5 3 1 3 ") + Bytes{0, 1, 4}, {"value 2", "at most 3", "found 4"});
}

TEST(Pnm, RefusesWhatIsMalformed) {
  expect_refused(text("P5"), {"the width"});
  expect_refused(text("P5 x 1 255 abc"), {"the width at byte 3"});
  expect_refused(text("P5 2"), {"the width"});
  expect_refused(text("P5 2 2 "), {"the largest value"});
  expect_refused(text("P5 0 1 255 a"), {"0 x 1"});
  expect_refused(text("P5 1 -1 255 a"), {"the height"});
  expect_refused(text("P5 2 1 0 ab"), {"1 to 65535"});
  expect_refused(text("P5 2 1 65536 ab"), {"1 to 65535"});
  expect_refused(text("P5 2 1 255,ab"), {"white space"});
  expect_refused(text("P5 2 2 255 abc"), {"expects 4 bytes", "has 3"});
  expect_refused(text("P6 2 1 255 abcde"), {"expects 6 bytes", "has 5"});
  expect_refused(text("P5 60000 60000 255 abc"), {"100000000 pixels"});
  expect_refused(text("P5 99999999999999999999 1 255 abc"), {"the width"});
  expect_refused(text("P3 1 1 255 1 2 3"), {"P5 or P6", "P3"});
  expect_refused(text("P7 1 1 255 1 2 3"), {"P7"});
}

struct Bmp {
  std::int32_t width = 2, height = 2;
  int bits = 24;
  std::uint32_t compression = 0, colours = 0;
  Bytes palette = {};  // or masks
  Bytes pixels = {};
};

void push_le32(Bytes& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Bytes bmp(const Bmp& b) {
  Bytes file{'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0};
  push_le32(file, static_cast<std::uint32_t>(54 + b.palette.size()));
  push_le32(file, 40);
  push_le32(file, static_cast<std::uint32_t>(b.width));
  push_le32(file, static_cast<std::uint32_t>(b.height));
  file.push_back(1);
  file.push_back(0);
  file.push_back(static_cast<std::uint8_t>(b.bits));
  file.push_back(0);
  push_le32(file, b.compression);
  for (int i = 0; i < 3; ++i) push_le32(file, 0);
  push_le32(file, b.colours);
  push_le32(file, 0);
  return file + b.palette + b.pixels;
}

const Bytes kTwoRows{1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0};

TEST(Bmp, DecodesBothDirections) {
  EXPECT_EQ(decode_image(bmp({.pixels = kTwoRows}), "x").pixels,
            (Bytes{9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(decode_image(bmp({.height = -2, .pixels = kTwoRows}), "x").pixels,
            (Bytes{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}));
}

TEST(Bmp, DecodesPalettes) {
  const Bytes palette{30, 20, 10, 0, 60, 50, 40, 0};
  const Bytes expected{40, 50, 60, 10, 20, 30, 40, 50, 60};
  for (const auto& [bits, row] :
       {std::pair{1, Bytes{0xa0, 0, 0, 0}}, {4, Bytes{0x10, 0x10, 0, 0}}, {8, Bytes{1, 0, 1, 0}}}) {
    EXPECT_EQ(decode_image(bmp({.width = 3,
                                .height = 1,
                                .bits = bits,
                                .colours = 2,
                                .palette = palette,
                                .pixels = row}),
                           "x")
                  .pixels,
              expected)
        << bits;
  }
}

TEST(Bmp, DecodesMasks) {
  EXPECT_EQ(
      decode_image(bmp({.height = 1, .bits = 32, .pixels = {3, 2, 1, 99, 6, 5, 4, 0}}), "x").pixels,
      (Bytes{1, 2, 3, 4, 5, 6}));
  // 5 bits a colour, and 5-6-5 by masks.
  EXPECT_EQ(
      decode_image(bmp({.height = 1, .bits = 16, .pixels = {0x00, 0x7c, 0x1f, 0x00}}), "x").pixels,
      (Bytes{255, 0, 0, 0, 0, 255}));
  const Bytes masks{0x00, 0xf8, 0, 0, 0xe0, 0x07, 0, 0, 0x1f, 0, 0, 0};
  EXPECT_EQ(decode_image(bmp({.height = 1,
                              .bits = 16,
                              .compression = 3,
                              .palette = masks,
                              .pixels = {0xe0, 0x07, 0x00, 0x80}}),
                         "x")
                .pixels,
            (Bytes{0, 255, 0, 132, 0, 0}));
}

TEST(Bmp, RefusesWhatIsMalformed) {
  const auto refused = [](const Bmp& b, const std::string& part) {
    expect_refused(bmp(b), {"some.file", part});
  };
  refused({.width = 0, .pixels = kTwoRows}, "0 x 2");
  refused({.width = -2, .pixels = kTwoRows}, "-2 x 2");
  refused({.height = INT32_MIN, .pixels = kTwoRows}, "1 to 65500");
  refused({.width = 60000, .height = 60000, .pixels = kTwoRows}, "100000000 pixels");
  refused({.bits = 7, .pixels = kTwoRows}, "of 7 bits");
  refused({.bits = 8, .compression = 1, .pixels = kTwoRows}, "compression 1");
  refused({.compression = 3, .pixels = kTwoRows}, "compression 3");
  refused({.compression = 5, .pixels = kTwoRows}, "compression 5");
  refused({.bits = 8, .colours = 300, .palette = Bytes(1200), .pixels = kTwoRows}, "palette");
  refused({.bits = 8, .colours = 3, .palette = Bytes(8), .pixels = kTwoRows}, "palette");
  refused({.bits = 8, .colours = 2, .palette = Bytes(8), .pixels = kTwoRows}, "below 2");
  refused({.height = 1, .bits = 8, .colours = 2, .palette = Bytes(8), .pixels = {0, 2, 0, 0}},
          "below 2, found 2");
  refused({.pixels = Bytes(kTwoRows.begin(), kTwoRows.end() - 3)}, "expects 16 bytes");
  refused({.bits = 16, .compression = 3, .palette = Bytes(12), .pixels = kTwoRows}, "masks");
  refused({.bits = 16,
           .compression = 3,
           .palette = {5, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0},
           .pixels = kTwoRows},
          "masks");
  Bytes core = bmp({.pixels = kTwoRows});
  core[14] = 12;
  expect_refused(core, {"header expects 40 to 124"});
  const Bytes whole = bmp({.pixels = kTwoRows});
  // The last row's padding may be missing, and nothing else.
  for (std::size_t cut = 2; cut + 2 < whole.size(); ++cut) {
    expect_refused(Bytes(whole.begin(), whole.begin() + std::ptrdiff_t(cut)), {"some.file"});
  }
}

TEST(Bmp, EveryChangedByteIsRefusedOrDecodes) {
  const Bytes palette{30, 20, 10, 0, 60, 50, 40, 0};
  for (const Bytes& file :
       {bmp({.pixels = kTwoRows}),
        bmp({.bits = 8, .colours = 2, .palette = palette, .pixels = {0, 1, 0, 0, 1, 0, 0, 0}})}) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {1, 0x80, 0xff}) {
        Bytes changed = file;
        changed[at] ^= static_cast<std::uint8_t>(flip);
        try {
          decode_image(changed, "x");
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::data);
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy::data
