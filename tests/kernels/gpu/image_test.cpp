// SPDX-License-Identifier: MIT
#include "kernels/image.h"

#include <cmath>
#include <random>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/image.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t batch, height, width, channels, out_height, out_width, out_channels;
};
const Case kCases[] = {
    {3, 9, 7, 3, 9, 7, 3},     {3, 9, 7, 3, 9, 7, 4}, {3, 9, 7, 3, 9, 7, 8},
    {4, 11, 11, 1, 11, 11, 1}, {3, 5, 7, 4, 5, 7, 4}, {7, 13, 11, 3, 7, 5, 4},
    {2, 5, 3, 2, 11, 13, 2},   {1, 1, 1, 1, 1, 1, 1}, {1, 5, 7, 3, 5, 7, 17},
    {0, 5, 5, 3, 5, 5, 3},     {2, 5, 5, 3, 0, 5, 3},
};
constexpr std::int64_t kImages = 8;

std::vector<std::uint8_t> pixels(std::int64_t count) {
  std::mt19937 engine(7);
  std::vector<std::uint8_t> x(static_cast<std::size_t>(count));
  for (auto& v : x) v = static_cast<std::uint8_t>(engine() | 1);  // none is black
  return x;
}

void check(const Case& c, DType dtype, bool gather, bool move, std::int64_t shift) {
  const auto host_x = pixels(kImages * c.height * c.width * c.channels);
  std::vector<std::int64_t> host_index;
  std::vector<ImageRow> host_rows;
  for (std::int32_t n = 0; n < c.batch; ++n) {
    host_index.push_back((n * 5 + 7) % kImages);  // the last image among them
    host_rows.push_back({n % 5 - 2, 1 - n % 4, n % 2});
  }
  const DeviceValues<std::uint8_t> x(host_x);
  const DeviceValues<std::int64_t> index(host_index);
  const DeviceValues<ImageRow> rows(host_rows);
  const FencedArray y(dtype, c.batch * c.out_height * c.out_width * c.out_channels, shift);
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
                    dtype,
                    {0.485f, 0.456f, 0.406f, 0.5f},
                    {0.229f, 0.224f, 0.225f, 0.25f}};
  run_on_device(op);
  op.x = host_x.data();
  if (gather) op.index = host_index.data();
  if (move) op.rows = host_rows.data();
  // Of the difference of two terms, u8 / 255 / std and mean / std, of up to 4.5 each.
  expect_close(y, reference::image_normalize(op), {.scale = 4.5}, "image");
}

GPU_CASE(ImageKernel, AgreesWithTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(fmt::format("{} of {}x{}x{} to {}x{}x{}", c.batch, c.height, c.width, c.channels,
                               c.out_height, c.out_width, c.out_channels));
      check(c, dtype, false, false, kAligned);
      check(c, dtype, true, true, kAligned);
      check(c, dtype, true, false, kMisaligned);
    }
  });
}

GPU_CASE(ImageKernel, AnImageThatIsNotThereIsNaN) {
  const DeviceValues<std::uint8_t> x({50, 60, 70, 80});
  const DeviceValues<std::int64_t> index({1, 2, -1, 0});
  for (const std::int64_t out_channels : {3, 4}) {
    const FencedArray y(DType::f32, 4 * out_channels);
    run_on_device(ImageNormalize{4, 2, 1, 1, 2, 1, 1, out_channels, x.data(), index.data(), nullptr,
                                 y.data(), DType::f32});
    const std::vector<double> found = y.values();
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(out_channels);
      EXPECT_EQ(std::isnan(found[i]), row == 1 || row == 2) << i;
    }
  }
}

GPU_CASE(ImageKernel, RefusesWhatDoesNotFit) {
  const auto with = [](std::int64_t batch, std::int64_t channels, std::int64_t out_channels) {
    run_on_device(ImageNormalize{batch, 1, 1, 1, channels, 1, 1, out_channels, nullptr, nullptr,
                                 nullptr, nullptr, DType::f32});
  };
  EXPECT_THROW(with(1, 5, 5), Error);
  EXPECT_THROW(with(1, 3, 2), Error);
  EXPECT_THROW(with(1, 0, 3), Error);
  EXPECT_THROW(with(2, 3, 3), Error);
}

}  // namespace
}  // namespace convoy::testing
