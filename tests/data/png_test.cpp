// SPDX-License-Identifier: MIT
#include "data/image.h"
#include "data/png_check.h"
#include "tests/data/png_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::deflated;
using testing::expect_data_error;
using testing::png;
using testing::png_header;
using testing::PngChunk;

Image decode(const Bytes& file) { return decode_image(file, "some.png"); }

void expect_refused(const Bytes& file, const std::vector<std::string>& parts) {
  expect_data_error([&] { decode(file); }, parts);
}

const PngChunk kEnd{"IEND", {}};

// Two rows of two RGB pixels, no filter.
const Bytes kRows{0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12};
const Bytes kPixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

PngChunk rgb_header() { return png_header(2, 2, 8, 2); }
PngChunk pixels(const Bytes& rows = kRows) { return {"IDAT", deflated(rows)}; }
Bytes sound() { return png({rgb_header(), pixels(), kEnd}); }

TEST(Png, Decodes) {
  const Image image = decode(sound());
  EXPECT_EQ(image.extent, (ImageExtent{2, 2, 3}));
  EXPECT_EQ(image.pixels, kPixels);
}

TEST(Png, DecodesEveryColourTypeAndDepth) {
  const auto row = [](int depth, int type, const Bytes& bytes) {
    Bytes rows{0};
    rows.insert(rows.end(), bytes.begin(), bytes.end());
    std::vector<PngChunk> chunks{png_header(2, 1, depth, type)};
    if (type == 3) chunks.push_back({"PLTE", {10, 20, 30, 40, 50, 60}});
    chunks.push_back({"IDAT", deflated(rows)});
    chunks.push_back(kEnd);
    return decode(png(chunks)).pixels;
  };
  EXPECT_EQ(row(1, 0, {0x40}), (Bytes{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(row(2, 0, {0x60}), (Bytes{85, 85, 85, 170, 170, 170}));
  EXPECT_EQ(row(4, 0, {0x1f}), (Bytes{17, 17, 17, 255, 255, 255}));
  EXPECT_EQ(row(8, 0, {9, 200}), (Bytes{9, 9, 9, 200, 200, 200}));
  EXPECT_EQ(row(16, 0, {9, 77, 200, 1}), (Bytes{9, 9, 9, 200, 200, 200}));
  EXPECT_EQ(row(16, 2, {1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 6, 9}), (Bytes{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(row(1, 3, {0x40}), (Bytes{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(row(2, 3, {0x10}), (Bytes{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(row(4, 3, {0x01}), (Bytes{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(row(8, 3, {0, 1}), (Bytes{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(row(8, 4, {9, 0, 200, 255}), (Bytes{9, 9, 9, 200, 200, 200}));
  EXPECT_EQ(row(16, 4, {9, 1, 0, 0, 200, 1, 255, 255}), (Bytes{9, 9, 9, 200, 200, 200}));
  EXPECT_EQ(row(8, 6, {1, 2, 3, 0, 4, 5, 6, 255}), (Bytes{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(row(16, 6, {1, 0, 2, 0, 3, 0, 0, 0, 4, 0, 5, 0, 6, 0, 255, 255}),
            (Bytes{1, 2, 3, 4, 5, 6}));
}

// A colour beyond the palette is black, whatever was in memory before.
TEST(Png, ColoursBeyondThePaletteAreBlack) {
  const Bytes file = png(
      {png_header(3, 1, 8, 3), {"PLTE", {10, 20, 30}}, {"IDAT", deflated({0, 0, 1, 255})}, kEnd});
  EXPECT_EQ(decode(file).pixels, (Bytes{10, 20, 30, 0, 0, 0, 0, 0, 0}));
}

TEST(Png, HonoursTheExifChunk) {
  Bytes exif{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 3, 0, 0};
  const Image image = decode(png({rgb_header(), {"eXIf", exif}, pixels(), kEnd}));
  EXPECT_EQ(image.pixels, (Bytes{10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3}));  // half a turn
}

TEST(Png, AcceptsWhatIsLegal) {
  const Bytes packed = deflated(kRows);
  const PngChunk front{"IDAT", Bytes(packed.begin(), packed.begin() + 3)};
  const PngChunk back{"IDAT", Bytes(packed.begin() + 3, packed.end())};
  EXPECT_EQ(decode(png({rgb_header(), front, {"IDAT", {}}, back, kEnd})).pixels, kPixels);
  EXPECT_EQ(
      decode(png({rgb_header(), {"tEXt", {'a', 0, 'b'}}, pixels(), {"quRk", {1}}, kEnd})).pixels,
      kPixels);
  EXPECT_EQ(decode(png({rgb_header(), {"PLTE", {1, 2, 3}}, pixels(), kEnd})).pixels, kPixels);
  Bytes longer = sound();
  longer.insert(longer.end(), 99, 7);
  EXPECT_EQ(decode(longer).pixels, kPixels);
}

TEST(Png, RefusesABadSignature) {
  Bytes file = sound();
  file[4] = '\n';  // as if it had been sent as text
  expect_refused(file, {"some.png", "signature", "text"});
  expect_refused({0x89, 'P', 'N', 'G'}, {"signature"});
}

TEST(Png, EveryTruncationAndEveryFlippedBitIsSeen) {
  const Bytes file = sound();
  for (std::size_t cut = 0; cut < file.size(); ++cut) {
    expect_refused(Bytes(file.begin(), file.begin() + std::ptrdiff_t(cut)), {"some.png"});
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = file;
      changed[at] ^= static_cast<std::uint8_t>(1 << bit);
      expect_refused(changed, {"some.png"});
    }
  }
}

TEST(Png, RefusesABadHeader) {
  const auto refused = [](const PngChunk& header, const std::string& text) {
    expect_refused(png({header, pixels(), kEnd}), {"some.png", text});
  };
  refused(png_header(0, 2, 8, 2), "0 x 2");
  refused(png_header(2, 0, 8, 2), "2 x 0");
  refused(png_header(0xffffffff, 1, 8, 2), "4294967295 x 1");
  refused(png_header(65537, 65537, 8, 0), "65537 x 65537");
  refused(png_header(1 << 24, 1 << 24, 8, 2), "1 to 65500");
  refused(png_header(20000, 20000, 8, 2), "at most 100000000 pixels");
  for (const auto& [depth, type] : {std::pair{3, 0},
                                    {0, 0},
                                    {32, 0},
                                    {1, 2},
                                    {4, 2},
                                    {16, 3},
                                    {4, 4},
                                    {2, 6},
                                    {8, 1},
                                    {8, 5},
                                    {8, 7}}) {
    refused(png_header(2, 2, depth, type), "no ");
  }
  refused(png_header(2, 2, 8, 2, 1), "compression 0");
  refused(png_header(2, 2, 8, 2, 0, 1), "filter 0");
  refused(png_header(2, 2, 8, 2, 0, 0, 2), "interlace 0 or 1");
  PngChunk longer = rgb_header();
  longer.data.push_back(0);
  refused(longer, "IHDR of 13");
}

TEST(Png, RefusesABadOrder) {
  expect_refused(png({pixels(), rgb_header(), kEnd}), {"IHDR", "found IDAT"});
  expect_refused(png({rgb_header(), kEnd}), {"an IDAT chunk, found none"});
  expect_refused(png({rgb_header(), pixels()}), {"truncated"});
  expect_refused(png({rgb_header(), rgb_header(), pixels(), kEnd}), {"IHDR", "critical"});
  const Bytes packed = deflated(kRows);
  const PngChunk front{"IDAT", Bytes(packed.begin(), packed.begin() + 3)};
  const PngChunk back{"IDAT", Bytes(packed.begin() + 3, packed.end())};
  expect_refused(png({rgb_header(), front, {"tEXt", {'a', 0}}, back, kEnd}), {"in a row"});
  expect_refused(png({rgb_header(), pixels(), {"PLTE", {1, 2, 3}}, kEnd}), {"PLTE"});
  expect_refused(png({rgb_header(), {"ABCD", {}}, pixels(), kEnd}), {"ABCD", "critical"});
  expect_refused(png({rgb_header(), {"CgBI", {1}}, pixels(), kEnd}), {"CgBI"});
  expect_refused(png({rgb_header(), {"a1cd", {}}, pixels(), kEnd}), {"four letters"});
}

TEST(Png, RefusesABadPalette) {
  const PngChunk header = png_header(2, 1, 1, 3), data{"IDAT", deflated({0, 0x40})};
  const auto refused = [&](const std::vector<PngChunk>& between, const std::string& text) {
    std::vector<PngChunk> chunks{header};
    chunks.insert(chunks.end(), between.begin(), between.end());
    chunks.push_back(data);
    chunks.push_back(kEnd);
    expect_refused(png(chunks), {text});
  };
  refused({}, "expects PLTE before IDAT");
  refused({{"PLTE", {}}}, "1 to 2 colours");
  refused({{"PLTE", {1, 2}}}, "1 to 2 colours");
  refused({{"PLTE", Bytes(9)}}, "1 to 2 colours");
  refused({{"PLTE", Bytes(6)}, {"PLTE", Bytes(6)}}, "one PLTE");
  expect_refused(png({png_header(2, 1, 8, 0), {"PLTE", {1, 2, 3}}, pixels({0, 1, 2}), kEnd}),
                 {"PLTE"});
}

TEST(Png, RefusesABadLength) {
  Bytes file = sound();
  const std::size_t length_at = 8 + 25;
  for (const int value : {0x7f, 0xff}) {
    Bytes changed = file;
    changed[length_at] = static_cast<std::uint8_t>(value);
    expect_refused(changed, {"IDAT at byte 33", "states"});
  }
}

TEST(Png, RefusesBadPixelData) {
  Bytes less = kRows, more = kRows;
  less.pop_back();
  more.push_back(0);
  expect_refused(png({rgb_header(), pixels(less), kEnd}), {"expects 14 bytes", "ends after 13"});
  expect_refused(png({rgb_header(), pixels(more), kEnd}), {"expects 14 bytes", "beyond"});
  Bytes cut = deflated(kRows);
  cut.erase(cut.end() - 4, cut.end());
  expect_refused(png({rgb_header(), {"IDAT", cut}, kEnd}), {"cut off"});
  Bytes wrong = deflated(kRows);
  wrong.back() ^= 1;  // the zlib stream's checksum
  expect_refused(png({rgb_header(), {"IDAT", wrong}, kEnd}), {"incorrect data check"});
  expect_refused(png({rgb_header(), {"IDAT", {1, 2, 3, 4}}, kEnd}), {"damaged"});
  // A filter type that does not exist is the decoder's to see.
  Bytes filter = kRows;
  filter[0] = 9;
  expect_refused(png({rgb_header(), pixels(filter), kEnd}), {"damaged or unsupported PNG"});
}

TEST(Png, BombsAreRefusedWithoutBeingUnpacked) {
  const Bytes zeros(100'000'000);
  expect_refused(png({rgb_header(), pixels(zeros), kEnd}), {"beyond"});
  expect_refused(png({png_header(9999, 9999, 16, 6), pixels(), kEnd}), {"expects 799850007 bytes"});
}

TEST(Png, CountsTheBytesOfAdam7Passes) {
  PngHeader header{.height = 8, .width = 8, .bit_depth = 8, .colour_type = 0, .interlaced = true};
  EXPECT_EQ(png_unpacked_bytes(header), 64U + 1 + 1 + 1 + 2 + 2 + 4 + 4);
  header.height = header.width = 1;
  EXPECT_EQ(png_unpacked_bytes(header), 2U);
  header = {.height = 5, .width = 3, .bit_depth = 1, .colour_type = 0, .interlaced = false};
  EXPECT_EQ(png_unpacked_bytes(header), 10U);
}

}  // namespace
}  // namespace convoy::data
