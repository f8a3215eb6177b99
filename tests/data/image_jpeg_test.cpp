// SPDX-License-Identifier: MIT
#include <chrono>

#include "data/image.h"
#include "tests/data/jpeg_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::exif;
using testing::expect_data_error;
using testing::find_marker;
using testing::gradient;
using testing::JpegKind;
using testing::write_jpeg;

Image decode(const Bytes& file, const DecodeLimits& limits = {}) {
  return decode_image(file, "some.jpg", limits);
}

void expect_refused(const Bytes& file, const std::vector<std::string>& parts,
                    const DecodeLimits& limits = {}) {
  const auto begin = std::chrono::steady_clock::now();
  expect_data_error([&] { decode(file, limits); }, parts);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 5.0) << "a refusal should be quick";
}

void expect_near(const Image& found, const Image& expected, int levels) {
  ASSERT_EQ(found.extent, expected.extent);
  for (std::size_t i = 0; i < found.pixels.size(); ++i) {
    ASSERT_NEAR(found.pixels[i], expected.pixels[i], levels) << i;
  }
}

TEST(Jpeg, DecodesEveryKind) {
  const Image image = gradient(37, 50);
  expect_near(decode(write_jpeg(image)), image, 6);
  expect_near(decode(write_jpeg(image, {.progressive = true})), image, 6);
  expect_near(decode(write_jpeg(image, {.separate_scans = true})), image, 6);
  expect_near(decode(write_jpeg(image, {.restart_rows = 1})), image, 6);
  expect_near(decode(write_jpeg(image, {.progressive = true, .restart_rows = 1})), image, 6);
  expect_near(decode(encode_jpeg(image, 95)), image, 4);
}

TEST(Jpeg, GreyBecomesRgb) {
  const Image grey = gradient(9, 13, 1);
  const Image rgb = decode(write_jpeg(grey, {.space = JCS_GRAYSCALE}));
  ASSERT_EQ(rgb.extent, (ImageExtent{9, 13, 3}));
  for (std::int64_t y = 0; y < 9; ++y) {
    for (std::int64_t x = 0; x < 13; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) ASSERT_NEAR(rgb.at(y, x, c), grey.at(y, x, 0), 6);
    }
  }
  expect_near(decode(encode_jpeg(grey, 90)), rgb, 6);
}

// Stored inverted, as Adobe's programs do: 255 is no ink.
TEST(Jpeg, CmykBecomesRgb) {
  Image cmyk({16, 16, 4});
  for (std::size_t i = 0; i < cmyk.pixels.size(); i += 4) {
    const std::uint8_t ink[4] = {200, 120, 40, 230};
    std::copy(ink, ink + 4, &cmyk.pixels[i]);
  }
  const Image rgb = decode(write_jpeg(cmyk, {.quality = 100, .space = JCS_CMYK}));
  ASSERT_EQ(rgb.extent, (ImageExtent{16, 16, 3}));
  EXPECT_NEAR(rgb.at(7, 7, 0), 200 * 230 / 255, 2);
  EXPECT_NEAR(rgb.at(7, 7, 1), 120 * 230 / 255, 2);
  EXPECT_NEAR(rgb.at(7, 7, 2), 40 * 230 / 255, 2);
}

// Where row 0 and column 0 of the stored picture belong, in the words of the EXIF standard; checked
// at the four corners.
TEST(Jpeg, EveryOrientationStandsUpright) {
  const Image image = gradient(24, 40);
  const Image stored = decode(write_jpeg(image));
  const std::int64_t bottom = 23, right = 39;
  struct Corner {
    std::int64_t y, x;
  };
  // For orientations 1 to 8: which stored corner is at the upright top left and top right.
  const Corner top_left[9] = {{},     {0, 0},      {0, right},      {bottom, right}, {bottom, 0},
                              {0, 0}, {bottom, 0}, {bottom, right}, {0, right}};
  const Corner top_right[9] = {{},          {0, right}, {0, 0},     {bottom, 0},    {bottom, right},
                               {bottom, 0}, {0, 0},     {0, right}, {bottom, right}};
  for (int o = 1; o <= 8; ++o) {
    for (const bool little : {true, false}) {
      const Image up = decode(testing::with_segment(write_jpeg(image), 0xe1, exif(o, little)));
      EXPECT_EQ(up.extent, o < 5 ? (ImageExtent{24, 40, 3}) : (ImageExtent{40, 24, 3})) << o;
      for (std::int64_t c = 0; c < 3; ++c) {
        EXPECT_EQ(up.at(0, 0, c), stored.at(top_left[o].y, top_left[o].x, c)) << o;
        EXPECT_EQ(up.at(0, up.extent.width - 1, c), stored.at(top_right[o].y, top_right[o].x, c))
            << o;
      }
    }
  }
}

TEST(Jpeg, OddExifIsUpright) {
  const Bytes plain = write_jpeg(gradient(8, 12));
  const Image image = decode(plain);
  for (const int o : {0, 9, 65535}) {
    EXPECT_EQ(decode(testing::with_segment(plain, 0xe1, exif(o, true))).pixels, image.pixels);
  }
  const Bytes whole = exif(6, false);
  for (std::size_t cut = 0; cut + 8 < whole.size(); ++cut) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
    const Image found = decode(testing::with_segment(plain, 0xe1, part));
    EXPECT_EQ(found.extent.count(), image.extent.count());
  }
  for (std::size_t at = 6; at < whole.size(); ++at) {
    Bytes changed = whole;
    changed[at] = 0xff;
    EXPECT_NO_THROW(decode(testing::with_segment(plain, 0xe1, changed))) << at;
  }
}

TEST(Jpeg, TruncationIsAlwaysSeen) {
  for (const JpegKind& kind : {JpegKind{}, JpegKind{.progressive = true},
                               JpegKind{.restart_rows = 1}, JpegKind{.separate_scans = true}}) {
    const Bytes file = write_jpeg(gradient(20, 21), kind);
    for (std::size_t cut = 0; cut < file.size(); ++cut) {
      expect_data_error([&] { decode(Bytes(file.begin(), file.begin() + std::ptrdiff_t(cut))); },
                        {"some.jpg"});
    }
  }
}

// The last rows may come out although the file's end is missing, depending on how far the decoder
// happens to read ahead.
TEST(Jpeg, AMissingEndIsSeenInEverySize) {
  for (std::int64_t side = 1; side < 100; ++side) {
    Bytes file = write_jpeg(gradient(side, side), {.quality = static_cast<int>(side)});
    file.pop_back();
    expect_data_error([&] { decode(file); }, {"some.jpg"});
    file.pop_back();
    expect_data_error([&] { decode(file); }, {"some.jpg"});
  }
}

TEST(Jpeg, EveryChangedByteIsRefusedOrDecodes) {
  for (const JpegKind& kind : {JpegKind{}, JpegKind{.progressive = true}}) {
    const Bytes file = write_jpeg(gradient(17, 16), kind);
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        Bytes changed = file;
        changed[at] ^= static_cast<std::uint8_t>(flip);
        try {
          const Image image = decode(changed);
          EXPECT_EQ(image.extent.channels, 3);
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::data);
        }
      }
    }
  }
}

TEST(Jpeg, TrailingBytesAreIgnored) {
  const Bytes file = write_jpeg(gradient(8, 8));
  Bytes longer = file;
  longer.insert(longer.end(), 5000, 0xab);
  EXPECT_EQ(decode(longer).pixels, decode(file).pixels);
}

TEST(Jpeg, DamageIsRefusedUnlessAccepted) {
  const Image image = gradient(64, 64);
  Bytes cut = write_jpeg(image);
  cut.erase(cut.end() - 40, cut.end());
  expect_refused(cut, {"damaged", "Premature end"});
  EXPECT_EQ(decode(cut, {.damage = Damage::accept}).extent, image.extent);
}

// Stray bytes between the header's segments say nothing about the pixels.
TEST(Jpeg, HarmlessWarningsAreNoDamage) {
  const Bytes file = write_jpeg(gradient(8, 8));
  Bytes stray(file.begin(), file.begin() + 2);
  const std::size_t tables = find_marker(file, 0xdb);
  stray.insert(stray.end(), file.begin() + 2, file.begin() + std::ptrdiff_t(tables));
  stray.insert(stray.end(), 16, 0x11);
  stray.insert(stray.end(), file.begin() + std::ptrdiff_t(tables), file.end());
  EXPECT_EQ(decode(stray).pixels, decode(file).pixels);
}

Bytes with_size(Bytes file, int height, int width) {
  const std::size_t sof = find_marker(file, 0xc0);
  file[sof + 5] = static_cast<std::uint8_t>(height >> 8);
  file[sof + 6] = static_cast<std::uint8_t>(height);
  file[sof + 7] = static_cast<std::uint8_t>(width >> 8);
  file[sof + 8] = static_cast<std::uint8_t>(width);
  return file;
}

TEST(Jpeg, HugeHeadersAreRefusedBeforeAllocation) {
  const Bytes file = write_jpeg(gradient(16, 16));
  expect_refused(with_size(file, 65535, 65535), {"65500 pixels"});
  expect_refused(with_size(file, 65500, 65500), {"at most 100000000 pixels", "65500"});
  expect_refused(with_size(file, 9999, 9999), {"9999 x 9999", "holds at most"});
  expect_refused(with_size(file, 16, 0), {"some.jpg"});
  expect_refused(file, {"at most 255 pixels"}, {.max_pixels = 255});
  EXPECT_NO_THROW(decode(file, {.max_pixels = 256}));
}

TEST(Jpeg, ScanBombsAreRefused) {
  const Bytes file = write_jpeg(gradient(16, 16), {.separate_scans = true});
  const std::size_t first = find_marker(file, 0xda), second = find_marker(file, 0xda, first + 2);
  const auto at = [&](std::size_t i) { return file.begin() + std::ptrdiff_t(i); };
  const auto repeated = [&](int times) {
    Bytes bomb(file.begin(), at(first));
    for (int i = 0; i < times; ++i) bomb.insert(bomb.end(), at(first), at(second));
    bomb.insert(bomb.end(), at(second), file.end());
    return bomb;
  };
  EXPECT_NO_THROW(decode(repeated(50)));
  expect_refused(repeated(80'000), {"limit of 100 scans"});
  expect_refused(write_jpeg(gradient(16, 16), {.progressive = true}), {"limit of 5 scans"},
                 {.max_scans = 5});
}

TEST(Jpeg, ManyMarkersAreReadInGoodTime) {
  Bytes file = write_jpeg(gradient(16, 16));
  Bytes many(file.begin(), file.begin() + 2);
  for (int i = 0; i < 100'000; ++i) {
    for (const int b : {0xff, 0xe1, 0, 4, 0x78, 0x79}) many.push_back(static_cast<std::uint8_t>(b));
  }
  many.insert(many.end(), file.begin() + 2, file.end());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(decode(many).pixels, decode(file).pixels);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 5.0);
}

TEST(Jpeg, DecoderMemoryIsLimited) {
  const Bytes file = write_jpeg(gradient(256, 256), {.progressive = true});
  expect_refused(file, {"some.jpg", "damaged or unsupported JPEG"}, {.max_decoder_bytes = 100'000});
  EXPECT_NO_THROW(decode(file, {.max_decoder_bytes = 2'000'000}));
}

TEST(Jpeg, OtherProcessesAreRefused) {
  expect_refused(write_jpeg(gradient(16, 16), {.arithmetic = true}), {"arithmetic"});
  Bytes file = write_jpeg(gradient(16, 16));
  const std::size_t sof = find_marker(file, 0xc0);
  Bytes twelve = file, lossless = file;
  twelve[sof + 4] = 12;
  expect_refused(twelve, {"precision 12"});
  lossless[sof + 1] = 0xc3;
  expect_refused(lossless, {"0xc3"});
}

TEST(Jpeg, EncodingRefusesWhatItCannotWrite) {
  EXPECT_THROW(encode_jpeg(Image({4, 4, 2}), 90), Error);
  EXPECT_THROW(encode_jpeg(Image({0, 4, 3}), 90), Error);
  EXPECT_EQ(encode_jpeg(gradient(8, 9), 80), encode_jpeg(gradient(8, 9), 80));
}

}  // namespace
}  // namespace convoy::data
