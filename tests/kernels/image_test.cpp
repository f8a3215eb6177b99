// SPDX-License-Identifier: MIT
#include "kernels/image.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/image.h"

namespace convoy {
namespace {

std::vector<std::uint8_t> pixels(std::int64_t count) {
  std::mt19937 engine(7);
  std::vector<std::uint8_t> x(static_cast<std::size_t>(count));
  for (auto& v : x) v = static_cast<std::uint8_t>(engine());
  return x;
}

struct Case {
  const char* name;
  std::int64_t batch, height, width, channels, out_height, out_width, out_channels;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class ImageTest : public ::testing::TestWithParam<Case> {};

template <class T>
void check(const Case& c, bool gather, bool move) {
  constexpr std::int64_t kImages = 9;
  const auto x = pixels(kImages * c.height * c.width * c.channels);
  std::vector<std::int64_t> index;
  std::vector<ImageRow> rows;
  for (std::int32_t n = 0; n < c.batch; ++n) {
    index.push_back(n * 4 % kImages);
    rows.push_back({n % 5 - 2, 1 - n % 4, n % 2});
  }
  std::vector<T> y(static_cast<std::size_t>(c.batch * c.out_height * c.out_width * c.out_channels),
                   T(NAN));
  ImageNormalize op{c.batch,
                    kImages,
                    c.height,
                    c.width,
                    c.channels,
                    c.out_height,
                    c.out_width,
                    c.out_channels,
                    x.data(),
                    gather ? index.data() : nullptr,
                    move ? rows.data() : nullptr,
                    y.data(),
                    sizeof(T) == 4 ? DType::f32 : DType::f64,
                    {0.485f, 0.456f, 0.406f, 0.5f},
                    {0.229f, 0.224f, 0.225f, 0.25f}};
  run(op, {}, nullptr, {});
  testing::expect_close(y, reference::image_normalize(op), {}, c.name);
}

TEST_P(ImageTest, AgreesWithTheDefinition) {
  for (const bool gather : {false, true}) {
    for (const bool move : {false, true}) {
      check<float>(GetParam(), gather, move);
      check<double>(GetParam(), gather, move);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ImageTest,
    ::testing::Values(Case{"cifar", 5, 32, 32, 3, 32, 32, 3},
                      Case{"padded", 3, 32, 32, 3, 32, 32, 8},
                      Case{"grey", 4, 28, 28, 1, 28, 28, 1}, Case{"alpha", 3, 5, 7, 4, 5, 7, 4},
                      Case{"smaller", 7, 13, 11, 3, 7, 5, 4}, Case{"larger", 2, 5, 3, 2, 11, 13, 2},
                      Case{"pixel", 1, 1, 1, 1, 1, 1, 1}, Case{"large", 9, 97, 89, 3, 97, 89, 3},
                      Case{"no_batch", 0, 5, 5, 3, 5, 5, 3}, Case{"no_lines", 2, 5, 5, 3, 0, 5, 3}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Image, CropThenFlip) {
  const std::uint8_t x[] = {0, 51, 102, 153, 204, 255};  // [1, 2, 3, 1]
  const ImageRow row{.offset_y = 1, .offset_x = -1, .flip = 1};
  std::vector<float> y(4, NAN);
  run(
      ImageNormalize{
          1, 1, 2, 3, 1, 1, 4, 1, x, nullptr, &row, y.data(), DType::f32, {0.2f}, {0.5f}},
      {}, nullptr, {});
  // The crop is [outside, 153, 204, 255]; mirrored; black outside.
  testing::expect_close(y, {1.6, 1.2, 0.8, -0.4}, {}, "crop then flip");
}

TEST(Image, RefusesBadChannels) {
  std::uint8_t x[8] = {};
  float y[8];
  const auto with = [&](std::int64_t channels, std::int64_t out_channels) {
    run(ImageNormalize{1, 1, 1, 1, channels, 1, 1, out_channels, x, nullptr, nullptr, y,
                       DType::f32},
        {}, nullptr, {});
  };
  EXPECT_THROW(with(5, 5), Error);
  EXPECT_THROW(with(3, 2), Error);
  EXPECT_THROW(with(0, 3), Error);
}

TEST(Image, RefusesImagesThatAreNotThere) {
  const std::uint8_t x[6] = {};
  float y[3];
  for (const std::int64_t bad : {-1, 2}) {
    const std::int64_t index[] = {0, bad, 1};
    EXPECT_THROW(run(ImageNormalize{3, 2, 1, 1, 1, 1, 1, 1, x, index, nullptr, y, DType::f32}, {},
                     nullptr, {}),
                 Error);
  }
  EXPECT_THROW(run(ImageNormalize{3, 2, 1, 1, 1, 1, 1, 1, x, nullptr, nullptr, y, DType::f32}, {},
                   nullptr, {}),
               Error);
}

}  // namespace
}  // namespace convoy
