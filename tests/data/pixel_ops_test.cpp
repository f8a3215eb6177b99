// SPDX-License-Identifier: MIT
#include "data/pixel_ops.h"

#include <functional>
#include <map>
#include <numeric>

#include "tests/data/files.h"

namespace convoy::data {
namespace {

Image picture(std::int64_t channels) {
  Image image({16, 24, channels});
  for (std::int64_t y = 0; y < 16; ++y) {
    for (std::int64_t x = 0; x < 24; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        image.at(y, x, c) = static_cast<std::uint8_t>(
            30 + (7 * x * x + 13 * y + 3 * x * y * (c + 1) + 40 * c) % 190);
      }
    }
  }
  return image;
}

using Op = std::function<void(const ImageSpan&, std::vector<std::uint8_t>&)>;

const std::map<std::string, Op> kOps = {
    {"brightness 0.6", [](auto& i, auto&) { adjust_brightness(i, 0.6); }},
    {"brightness 1.7", [](auto& i, auto&) { adjust_brightness(i, 1.7); }},
    {"contrast 0.3", [](auto& i, auto&) { adjust_contrast(i, 0.3); }},
    {"contrast 1.9", [](auto& i, auto&) { adjust_contrast(i, 1.9); }},
    {"saturation 0.25", [](auto& i, auto&) { adjust_saturation(i, 0.25); }},
    {"saturation 1.8", [](auto& i, auto&) { adjust_saturation(i, 1.8); }},
    {"sharpness 0.1", [](auto& i, auto& s) { adjust_sharpness(i, 0.1, s); }},
    {"sharpness 1.9", [](auto& i, auto& s) { adjust_sharpness(i, 1.9, s); }},
    {"hue 0.2", [](auto& i, auto&) { adjust_hue(i, 0.2); }},
    {"hue -0.45", [](auto& i, auto&) { adjust_hue(i, -0.45); }},
    {"posterize 3", [](auto& i, auto&) { posterize(i, 3); }},
    {"solarize 127.5", [](auto& i, auto&) { solarize(i, 127.5); }},
    {"autocontrast", [](auto& i, auto&) { autocontrast(i); }},
    {"equalize", [](auto& i, auto&) { equalize(i); }},
    {"shear_x 0.23", [](auto& i, auto& s) { warp(i, shear_x(0.23), s); }},
    {"shear_y -0.17", [](auto& i, auto& s) { warp(i, shear_y(-0.17), s); }},
    {"translate 5 -3", [](auto& i, auto& s) { warp(i, translate(5, -3), s); }},
    {"rotate 25", [](auto& i, auto& s) { warp(i, rotate(25, i.extent), s); }},
    {"rotate -9", [](auto& i, auto& s) { warp(i, rotate(-9, i.extent), s); }},
};

// Computed with Pillow 13 the way that torchvision's functional_pil calls it: the sum of all
// values, and the pixels 0, 37, 74 … 259.
TEST(PixelOps, AgreeWithPillow) {
  struct Case {
    std::string op;
    std::int64_t channels, sum;
    std::vector<int> values;
  };
  const std::vector<Case> cases = {
      {"brightness 0.6", 3, 84867, {18, 42,  66, 75, 122, 55, 69,  103, 24,  76,  94, 112,
                                    61, 128, 81, 18, 28,  39, 108, 115, 123, 130, 40, 64}},
      {"brightness 1.7", 3, 217891, {51,  119, 187, 212, 255, 158, 195, 255, 69,  215, 255, 255,
                                     173, 255, 231, 52,  81,  110, 255, 255, 255, 255, 113, 181}},
      {"contrast 0.3", 3, 142102, {95,  107, 119, 124, 148, 114, 121, 138, 99,  124, 133, 142,
                                   117, 151, 127, 96,  101, 106, 141, 144, 148, 151, 106, 118}},
      {"contrast 1.9", 3, 142617, {0,  21,  97,  125, 255, 65, 106, 217, 0,   129, 186, 243,
                                   82, 255, 146, 0,   0,   11, 232, 255, 255, 255, 15,  91}},
      {"saturation 0.25", 3, 142344, {54,  64,  74,  157, 177, 149, 134, 149, 116, 145, 152, 160,
                                      154, 182, 163, 41,  45,  50,  188, 191, 194, 141, 103, 113}},
      {"saturation 1.8", 3, 142071, {3,  75,  147, 90, 232, 33, 94,  198, 0,   107, 161, 215,
                                     46, 247, 107, 19, 50,  81, 173, 194, 216, 255, 27,  99}},
      {"sharpness 0.1", 3, 141585, {30,  70,  110, 127, 167, 95,  117, 149, 96,  117, 147, 150,
                                    118, 164, 126, 73,  90,  107, 144, 156, 155, 167, 109, 109}},
      {"sharpness 1.9", 3, 142672, {30, 70,  110, 122, 240, 90, 112, 196, 0,   136, 166, 223,
                                    85, 255, 145, 0,   5,   22, 217, 229, 254, 255, 24,  104}},
      {"hue 0.2", 3, 143818, {85,  30,  110, 94, 204, 192, 41,  173, 125, 168, 128, 187,
                              102, 160, 214, 54, 31,  65,  198, 182, 205, 217, 201, 67}},
      {"hue -0.45", 3, 144225, {110, 94,  30,  204, 94, 200, 144, 41,  173, 187, 175, 128,
                                214, 102, 144, 65,  58, 31,  205, 200, 182, 67,  212, 217}},
      {"posterize 3", 3, 124384, {0,  64,  96,  96, 192, 64, 96,  160, 32,  96,  128, 160,
                                  96, 192, 128, 0,  32,  64, 160, 192, 192, 192, 64,  96}},
      {"solarize 127.5", 3, 92931, {30,  70, 110, 125, 51, 93, 115, 82, 41, 127, 98, 68,
                                    102, 41, 119, 31,  48, 65, 74,  62, 50, 38,  67, 107}},
      {"autocontrast", 3, 145051, {0,  52,  109, 128, 234, 85, 114, 192, 15,  130, 170, 214,
                                   97, 248, 144, 1,   23,  47, 203, 219, 238, 252, 48,  105}},
      {"equalize", 3, 194732, {0,   83,  172, 192, 255, 126, 172, 255, 24,  196, 255, 255,
                               152, 255, 221, 2,   38,  67,  255, 255, 255, 255, 74,  168}},
      {"shear_x 0.23", 3, 131392, {30,  70,  110, 125, 204, 93,  159, 36,  103, 166, 208, 60,
                                   183, 123, 63,  197, 66,  125, 51,  117, 183, 77,  177, 87}},
      {"shear_y -0.17", 3, 124760, {30, 70,  110, 0,   0,  0,   115, 173, 41,  143, 38, 123,
                                    77, 177, 87,  219, 83, 137, 150, 144, 138, 197, 66, 125}},
      {"translate 5 -3", 3, 91960, {0, 0, 0, 56,  192, 138, 0,  0,   0,   81,  141, 201,
                                    0, 0, 0, 198, 218, 48,  39, 115, 191, 217, 43,  59}},
      {"rotate 25", 3, 119994, {0,  0,   0,  44,  180, 126, 0,   0,  0,  98, 46,  184,
                                99, 184, 79, 159, 88,  207, 119, 95, 71, 35, 168, 111}},
      {"rotate -9", 3, 132828, {0,   0,  0,   137, 213, 99, 117, 172, 37, 47,  213, 189,
                                127, 61, 185, 157, 123, 89, 212, 52,  82, 147, 130, 113}},
      {"brightness 0.6", 1, 28531, {18, 75, 69, 76, 61, 18, 108, 130}},
      {"brightness 1.7", 1, 72785, {51, 212, 195, 215, 173, 52, 255, 255}},
      {"contrast 0.3", 1, 47462, {95, 124, 121, 124, 117, 96, 141, 151}},
      {"contrast 1.9", 1, 47935, {0, 125, 106, 129, 82, 0, 232, 255}},
      {"saturation 0.25", 1, 47788, {30, 125, 115, 127, 102, 31, 181, 217}},
      {"saturation 1.8", 1, 47788, {30, 125, 115, 127, 102, 31, 181, 217}},
      {"sharpness 0.1", 1, 47455, {30, 127, 117, 117, 118, 73, 144, 167}},
      {"sharpness 1.9", 1, 47933, {30, 122, 112, 136, 85, 0, 217, 255}},
      {"hue 0.2", 1, 47788, {30, 125, 115, 127, 102, 31, 181, 217}},
      {"hue -0.45", 1, 47788, {30, 125, 115, 127, 102, 31, 181, 217}},
      {"posterize 3", 1, 41440, {0, 96, 96, 96, 96, 0, 160, 192}},
      {"solarize 127.5", 1, 30604, {30, 125, 115, 127, 102, 31, 74, 38}},
      {"autocontrast", 1, 48750, {0, 128, 114, 130, 97, 1, 203, 252}},
      {"equalize", 1, 64888, {0, 192, 172, 196, 152, 2, 255, 255}},
      {"shear_x 0.23", 1, 44236, {30, 125, 159, 166, 183, 197, 51, 77}},
      {"shear_y -0.17", 1, 42150, {30, 0, 115, 143, 77, 219, 150, 197}},
      {"translate 5 -3", 1, 30799, {0, 56, 0, 81, 0, 198, 39, 217}},
      {"rotate 25", 1, 41397, {0, 44, 0, 98, 99, 159, 119, 35}},
      {"rotate -9", 1, 44463, {0, 137, 117, 47, 127, 157, 212, 147}},
  };
  EXPECT_EQ(cases.size(), 2 * kOps.size());
  std::vector<std::uint8_t> scratch;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op + ", channels: " + std::to_string(c.channels));
    Image image = picture(c.channels);
    kOps.at(c.op)({image.pixels.data(), image.extent}, scratch);
    const auto channels = static_cast<std::size_t>(c.channels);
    for (std::size_t k = 0; k < 8; ++k) {
      for (std::size_t i = 0; i < channels; ++i) {
        EXPECT_EQ(image.pixels[37 * k * channels + i], c.values[k * channels + i]) << k;
      }
    }
    const auto sum = std::accumulate(image.pixels.begin(), image.pixels.end(), std::int64_t{0});
    EXPECT_EQ(sum, c.sum);
  }
}

// Computed with Pillow 13: seven levels that are equally frequent, in steps of five pixels.
TEST(PixelOps, EqualizeRoundsAsPillowDoes) {
  Image image({40, 40, 1});
  for (std::size_t i = 0; i < 1600; ++i) image.pixels[i] = static_cast<std::uint8_t>(i % 7 * 30);
  equalize({image.pixels.data(), image.extent});
  const std::vector<int> expected = {0, 46, 92, 137, 183, 229, 255};
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(image.pixels[i], expected[i]) << i;
}

TEST(PixelOps, NeutralStrengthsChangeNothing) {
  std::vector<std::uint8_t> scratch;
  for (const std::int64_t channels : {1, 3}) {
    Image image = picture(channels);
    const ImageSpan span{image.pixels.data(), image.extent};
    adjust_brightness(span, 1);
    adjust_contrast(span, 1);
    adjust_saturation(span, 1);
    adjust_sharpness(span, 1, scratch);
    posterize(span, 8);
    solarize(span, 256);
    warp(span, shear_x(0), scratch);
    warp(span, translate(0, 0), scratch);
    warp(span, rotate(0, image.extent), scratch);
    EXPECT_EQ(image.pixels, picture(channels).pixels);
  }
}

TEST(PixelOps, ATurnAllTheWayRoundComesBack) {
  std::vector<std::uint8_t> scratch;
  Image image({9, 9, 3});
  std::copy_n(picture(3).pixels.begin(), image.pixels.size(), image.pixels.begin());
  const Image before = image;
  const ImageSpan span{image.pixels.data(), image.extent};
  for (int i = 0; i < 4; ++i) warp(span, rotate(90, image.extent), scratch);
  EXPECT_EQ(image.pixels, before.pixels);
  // A quarter to the left: the top right corner comes to the top left.
  warp(span, rotate(90, image.extent), scratch);
  EXPECT_EQ(image.at(0, 0, 1), before.at(0, 8, 1));
  EXPECT_EQ(image.at(8, 0, 2), before.at(0, 0, 2));
}

TEST(PixelOps, FlatAndTinyPicturesStay) {
  std::vector<std::uint8_t> scratch;
  for (const ImageExtent extent : {ImageExtent{1, 1, 3}, {1, 7, 1}, {2, 2, 3}, {20, 20, 1}}) {
    Image image(extent);
    std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{100});
    const ImageSpan span{image.pixels.data(), image.extent};
    adjust_contrast(span, 0.2);
    adjust_saturation(span, 3);
    adjust_sharpness(span, 2, scratch);
    adjust_hue(span, 0.3);
    autocontrast(span);
    equalize(span);
    for (const std::uint8_t p : image.pixels) ASSERT_EQ(p, 100);
  }
}

TEST(PixelOps, FillsABox) {
  Image image({5, 6, 3});
  fill({image.pixels.data(), image.extent}, {1, 2, 3, 4}, {7, 8, 9});
  for (std::int64_t y = 0; y < 5; ++y) {
    for (std::int64_t x = 0; x < 6; ++x) {
      const bool inside = y >= 1 && y < 4 && x >= 2;
      for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(image.at(y, x, c), inside ? 7 + c : 0);
    }
  }
}

}  // namespace
}  // namespace convoy::data
