// SPDX-License-Identifier: MIT
#include "data/sample_decoder.h"

#include <random>

#include "tests/data/jpeg_files.h"
#include "tests/data/png_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::exif;
using testing::expect_data_error;
using testing::speckled;
using testing::with_segment;
using testing::write_jpeg;

std::vector<std::uint8_t> framed(SampleDecoder& decoder, const Stored& stored, const Framing& f,
                                 const ImageExtent& row, Scaling scaling) {
  decoder.open(stored, "some");
  std::vector<std::uint8_t> out(static_cast<std::size_t>(row.count()));
  decoder.frame(f, row, scaling, out.data());
  return out;
}

void expect_near(const std::vector<std::uint8_t>& found, const std::vector<std::uint8_t>& expected,
                 int levels) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], levels) << i;
}

Bytes png_of(const Image& image) {
  Bytes rows;
  const std::int64_t row = image.extent.width * 3;
  for (std::int64_t y = 0; y < image.extent.height; ++y) {
    rows.push_back(0);  // no filter
    const auto begin = image.pixels.begin() + y * row;
    rows.insert(rows.end(), begin, begin + row);
  }
  return testing::png({testing::png_header(static_cast<std::uint32_t>(image.extent.width),
                                           static_cast<std::uint32_t>(image.extent.height), 8, 2),
                       {"IDAT", testing::deflated(rows)},
                       {"IEND", {}}});
}

// Framings of a picture of 60 x 90 (or 90 x 60) for rows of 16 x 24: scaled, cut, mirrored sides.
std::vector<Framing> framings(const ImageExtent& e) {
  return {{whole(e), 16, 24, 0, 0},
          {{3, 7, 41, 33}, 16, 24, 0, 0},
          {{e.height - 16, e.width - 24, 16, 24}, 16, 24, 0, 0},
          {{0, 1, 20, 30}, 20, 30, 3, 5},
          {whole(e), 35, 37, 19, 13},
          {{11, 13, 7, 9}, 40, 30, 1, 6}};
}

// Decoded whole, turned, then cut and scaled: what a plain program does.
TEST(SampleDecoder, AgreesWithTheWholePictureInEveryOrientation) {
  SampleDecoder decoder;
  const ImageExtent row{16, 24, 3};
  for (int o = 1; o <= 8; ++o) {
    for (const bool progressive : {false, true}) {
      const Bytes file =
          with_segment(write_jpeg(speckled(60, 90), {.progressive = progressive, .h = 2, .v = 2}),
                       0xe1, exif(o));
      const Image upright = decode_image(file, "some");
      EXPECT_EQ(decoder.open({file}, "some"), upright.extent) << o;
      for (const Framing& f : framings(upright.extent)) {
        SCOPED_TRACE(o);
        const bool copy = f.height == f.box.height && f.width == f.box.width;
        expect_near(framed(decoder, {file}, f, row, Scaling::exact),
                    resize_bilinear(upright, f, 16, 24).pixels, copy ? 0 : 1);
      }
    }
  }
}

TEST(SampleDecoder, StoredPixelsAndOtherFilesAreFramedTheSame) {
  SampleDecoder decoder;
  const Image image = speckled(60, 90);
  const Bytes png = png_of(image);
  for (const Framing& f : framings(image.extent)) {
    const auto expected = resize_bilinear(image, f, 16, 24).pixels;
    for (const Scaling scaling : {Scaling::exact, Scaling::dct}) {
      EXPECT_EQ(framed(decoder, {image.pixels, image.extent}, f, {16, 24, 3}, scaling), expected);
      EXPECT_EQ(framed(decoder, {png}, f, {16, 24, 3}, scaling), expected);
    }
  }
}

TEST(SampleDecoder, ChangesChannels) {
  SampleDecoder decoder;
  const Image rgb = speckled(30, 40), grey = speckled(30, 40, 1);
  const Framing f{whole(rgb.extent), 30, 40, 3, 4};
  const Framing cut{{3, 4, 9, 9}, 9, 9, 0, 0};
  const Image nine = resize_bilinear(rgb, f, 9, 9);
  EXPECT_EQ(framed(decoder, {rgb.pixels, rgb.extent}, cut, {9, 9, 1}, Scaling::exact),
            with_channels(nine, 1).pixels);
  EXPECT_EQ(framed(decoder, {grey.pixels, grey.extent}, cut, {9, 9, 3}, Scaling::exact),
            with_channels(resize_bilinear(grey, f, 9, 9), 3).pixels);
}

// What is decoded small is nearly what is decoded whole and made small: both average.
TEST(SampleDecoder, SmallerSizesLookTheSame) {
  SampleDecoder decoder;
  const Image image = testing::gradient(512, 768);
  const ImageExtent row{32, 32, 3};
  for (int o : {1, 6}) {
    const Bytes file = with_segment(write_jpeg(image, {.h = 2, .v = 2}), 0xe1, exif(o));
    const ImageExtent e = decoder.open({file}, "some");
    for (const Box& box : {whole(e), Box{37, 51, 401, 333}, Box{201, 199, 64, 35}}) {
      const Framing f{box, 32, 32, 0, 0};
      expect_near(framed(decoder, {file}, f, row, Scaling::dct),
                  framed(decoder, {file}, f, row, Scaling::exact), 4);
    }
  }
}

// The smallest size that still covers the row; and its pixels, put where they belong.
TEST(SampleDecoder, DctScalingIsTheSmallestThatCovers) {
  SampleDecoder decoder;
  JpegDecoder jpeg({});
  const Bytes file = write_jpeg(speckled(200, 300));
  struct Case {
    Box box;
    std::int64_t side;
    int eighths;
  };
  for (const Case& c : {Case{{0, 0, 200, 296}, 25, 1}, Case{{0, 0, 200, 296}, 26, 2},
                        Case{{8, 16, 160, 200}, 40, 2}, Case{{0, 0, 200, 200}, 51, 4},
                        Case{{2, 4, 120, 120}, 60, 4}, Case{{2, 4, 120, 120}, 61, 8},
                        Case{{8, 16, 50, 120}, 26, 8}}) {
    jpeg.open(file, "some");
    Image scaled(jpeg.scaled(c.eighths));
    jpeg.start(whole(scaled.extent), c.eighths);
    jpeg.read(scaled.pixels.data());
    // Boxes whose borders are whole pixels at that size, so that the plain resize can be asked.
    const Box box{c.box.y * c.eighths / 8, c.box.x * c.eighths / 8, c.box.height * c.eighths / 8,
                  c.box.width * c.eighths / 8};
    const auto found =
        framed(decoder, {file}, {c.box, c.side, c.side, 0, 0}, {c.side, c.side, 3}, Scaling::dct);
    EXPECT_EQ(found, resize_bilinear(scaled, {box, c.side, c.side, 0, 0}, c.side, c.side).pixels)
        << c.side;
  }
}

TEST(SampleDecoder, ErrorsNameTheSample) {
  SampleDecoder decoder;
  std::vector<std::uint8_t> out(64 * 64 * 3);
  const Bytes file = write_jpeg(speckled(64, 64));
  const Bytes cut(file.begin(), file.end() - 30), text{'h', 'e', 'l', 'l', 'o'};
  expect_data_error([&] { decoder.open({text}, "a/b.jpg"); }, {"a/b.jpg: expected JPEG"});
  expect_data_error(
      [&] {
        decoder.open({cut}, "a/c.jpg");
        decoder.frame({{0, 0, 64, 64}, 64, 64, 0, 0}, {64, 64, 3}, Scaling::exact, out.data());
      },
      {"a/c.jpg: damaged"});
  decoder.open({file}, "a/d.jpg");
  EXPECT_THROW(
      decoder.frame({{0, 0, 65, 64}, 64, 64, 0, 0}, {64, 64, 3}, Scaling::exact, out.data()),
      Error);
  EXPECT_THROW(decoder.open({file, {1, 2, 3}}, "few"), Error);
}

}  // namespace
}  // namespace convoy::data
