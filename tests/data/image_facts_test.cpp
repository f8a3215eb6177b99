// SPDX-License-Identifier: MIT
#include "data/image_facts.h"

#include "tests/data/jpeg_files.h"
#include "tests/data/pack_files.h"
#include "tests/data/png_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;

std::string words(const Bytes& file, const std::string& name) {
  std::string text;
  for (const Oddity& odd : oddities(file, name)) text += odd.kind + " ";
  return text;
}

Bytes of_text(const std::string& text) { return {text.begin(), text.end()}; }

TEST(ImageFacts, NamesAndContentsTellTheFormat) {
  EXPECT_EQ(format_by_name("a/b.JPG"), "JPEG");
  EXPECT_EQ(format_by_name("b.jpeg"), "JPEG");
  EXPECT_EQ(format_by_name("b.tar.png"), "PNG");
  EXPECT_EQ(format_by_name("b.bmp"), "BMP");
  EXPECT_EQ(format_by_name("b.pgm"), "PNM");
  EXPECT_EQ(format_by_name("b.gif"), "");
  EXPECT_EQ(format_by_name("jpg"), "");
  EXPECT_EQ(format_by_content(of_text("P6 1 1 255\nabc")), "PNM");
  EXPECT_EQ(format_by_content(of_text("BM")), "BMP");
  EXPECT_EQ(format_by_content(of_text("P8")), "");
  EXPECT_EQ(format_by_content({}), "");
}

TEST(ImageFacts, TellWhatIsOdd) {
  const Bytes jpeg = testing::write_jpeg(testing::patterned(9, 9, 1));
  EXPECT_EQ(words(jpeg, "a.jpg"), "");
  EXPECT_EQ(words(jpeg, "a"), "");
  EXPECT_EQ(words(jpeg, "a.png"), "mislabelled ");
  const Bytes cmyk = testing::write_jpeg(Image({9, 9, 4}), {.space = JCS_CMYK});
  EXPECT_EQ(words(cmyk, "a.jpg"), "cmyk ");
  EXPECT_EQ(words(of_text("P6 1 1 65535\nabcdef"), "a.ppm"), "16-bit ");
  EXPECT_EQ(words(of_text("P5\n1 1\n# 70000\n255\na"), "a.pgm"), "");
  EXPECT_EQ(words(of_text("P4 9 9000\n"), "a.pbm"), "");
  Bytes png = of_text("\x89PNG\r\n\x1a\n");
  png.resize(33);
  for (const auto& [depth, colour, expected] :
       {std::tuple{8, 2, ""}, {16, 2, "16-bit "}, {8, 6, "alpha "}, {16, 4, "16-bit alpha "}}) {
    png[24] = static_cast<std::uint8_t>(depth);
    png[25] = static_cast<std::uint8_t>(colour);
    EXPECT_EQ(words(png, "a.png"), expected);
  }
}

TEST(ImageFacts, OfAnyCutDoNotReadPastTheEnd) {
  Bytes jpeg = testing::write_jpeg(testing::patterned(40, 40, 1));
  for (std::size_t size = 0; size < jpeg.size(); ++size) {
    const Bytes cut(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(size));
    oddities(cut, "a.jpg");
    EXPECT_EQ(is_cut_off(cut), size >= 2) << size;
  }
  EXPECT_FALSE(is_cut_off(jpeg));
}

}  // namespace
}  // namespace convoy::data
