// SPDX-License-Identifier: MIT
// Kernels over images.
#include "kernels/image.h"
#include "kernels/pool2d.h"
#include "kernels/upsample.h"
#include "tests/kernels/gpu/traffic_check.h"

namespace convoy::testing {

TRAFFIC_TEST(Pool2d) {
  constexpr std::int64_t kSide = 32;
  const Shape image{kRows / (kSide * kSide), kSide, kSide, kColumns};
  const DeviceArray x = random_array(dtype), dx(dtype, kCount);
  struct Case {
    const char* name;
    Pool2dOptions options;
    bool overlapping;
  };
  for (const Case& c : {Case{" 2x2", {.kernel_size = {2, 2}}, false},
                        Case{" 3x3/2", {{3, 3}, {2, 2}, {1, 1}}, true}}) {
    const std::string of = c.name;
    const Pool2dGeometry g = pool2d_geometry("pool2d", image, c.options);
    const std::int64_t outputs = g.output_shape().count();
    const DeviceArray y(dtype, outputs), index(DType::i32, outputs);
    const auto of_index = static_cast<std::int32_t*>(index.data());
    expect_least("max_pool2d" + of, MaxPool2dForward{g, x.data(), y.data(), of_index, dtype},
                 {{&x, 1, c.overlapping}, {&y, 1}, {&index, 1}});
    expect_least("max_pool2d backward" + of,
                 MaxPool2dBackward{g, y.data(), of_index, dx.data(), false, dtype},
                 {{&y, 1, true}, {&index, 1, true}, {&dx, 1}});
    expect_least("avg_pool2d" + of, AvgPool2dForward{g, x.data(), y.data(), dtype},
                 {{&x, 1, c.overlapping}, {&y, 1}});
    expect_least("avg_pool2d backward" + of,
                 AvgPool2dBackward{g, y.data(), dx.data(), false, dtype},
                 {{&y, 1, true}, {&dx, 1}});
  }
}

TRAFFIC_TEST(Upsample) {
  const DeviceArray x = random_array(dtype, kCount / 4), y(dtype, kCount), dx(dtype, kCount / 4);
  for (const UpsampleMode mode : {UpsampleMode::nearest, UpsampleMode::bilinear}) {
    const UpsampleGeometry g =
        upsample_geometry({4, 16, 16, kColumns}, {.size = {32, 32}, .mode = mode});
    const std::string name = mode == UpsampleMode::nearest ? "nearest" : "bilinear";
    expect_least(name, UpsampleForward{g, x.data(), y.data(), dtype}, {{&x, 1, true}, {&y, 1}});
    // Packs of four: registers are short.
    expect_least(name + " backward", UpsampleBackward{g, y.data(), dx.data(), false, dtype},
                 {{&y, 1, true}, {&dx, 1}}, 0, 4 * static_cast<double>(size_of(dtype)));
  }
}

TRAFFIC_TEST(Image) {
  constexpr std::int64_t kSide = 32, kBatch = 8, kPixels = kBatch * kSide * kSide;
  const DeviceArray x(DType::u8, std::vector<double>(kPixels * 3, 7.0)), y(dtype, kPixels * 8);
  expect_least("image",
               ImageNormalize{.batch = kBatch,
                              .images = kBatch,
                              .height = kSide,
                              .width = kSide,
                              .channels = 3,
                              .out_height = kSide,
                              .out_width = kSide,
                              .out_channels = 8,
                              .x = x.as<std::uint8_t>(),
                              .index = nullptr,
                              .rows = nullptr,
                              .y = y.data(),
                              .out_dtype = dtype},
               {{&y, 1}}, kPixels * 3);
}

}  // namespace convoy::testing
