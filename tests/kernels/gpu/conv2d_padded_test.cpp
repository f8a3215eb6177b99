// SPDX-License-Identifier: MIT
// conv2d's variant padded: channels that are no whole run of 16 bytes.
#include <algorithm>
#include <string_view>

#include "tests/kernels/gpu/conv2d_check.h"

namespace convoy::testing {
namespace {

constexpr const char* kRung = "padded";

void check(const Problem& p, bool flag) {
  check_forward(p, flag, kRung);
  check_backward_weight(p, true, true, flag, kRung);
}

// The first layers of resnet50, lenet5 and of a greyscale image; less, and more than one run.
GPU_CASE(Conv2dPadded, ChannelsOfEveryCount) {
  check(Problem({1, 23, 24, 3}, {64, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}, DType::f16),
        true);
  for (const std::int64_t c : {1, 2, 5, 7, 9, 12, 23}) {
    SCOPED_TRACE(c);
    const DType dtype = c % 2 == 0 ? DType::bf16 : DType::f16;
    const Conv2dOptions strided{.stride = {1, 2}, .padding = {2, 1}, .dilation = {1, 2}};
    check(Problem({2, 6, 7, c}, {11, 3, 2, c}, strided, dtype), c % 3 == 0);
  }
}

// Of the weights' gradient in f32, of the bias' alone; of no pictures, which is zero.
GPU_CASE(Conv2dPadded, GradientsThatAreWanted) {
  const Problem p({2, 9, 8, 3}, {8, 3, 3, 3}, {.padding = {1, 1}}, DType::f16);
  for (const bool accumulate : {false, true}) {
    check_backward_weight(p, true, false, accumulate, kRung, DType::f32);
    check_backward_weight(p, false, true, accumulate, kRung);
    check_backward_weight(Problem({0, 9, 8, 3}, {8, 3, 3, 3}, {}, DType::f16), true, true,
                          accumulate, kRung);
  }
}

// Tiles of 128 x 128, and a depth that is split.
GPU_CASE(Conv2dPadded, LargeTilesAndSplits) {
  check(Problem({4, 14, 14, 3}, {128, 3, 3, 3}, {.padding = {1, 1}}, DType::bf16), true);
}

// Rows that begin anywhere: what is copied is aligned.
GPU_CASE(Conv2dPadded, PicturesThatAreNotAligned) {
  const Problem p({2, 5, 6, 3}, {8, 3, 3, 3}, {.padding = {1, 1}}, DType::f16);
  Values shifted = p.x;
  shifted.insert(shifted.begin(), 0);
  const DeviceArray x(p.dtype, shifted), weight(p.dtype, p.weight);
  const DeviceArray y(p.dtype, p.g.output_shape().count());
  run_rung(Conv2dForward{p.g, x.as<std::uint16_t>() + 1, weight.data(), y.data(), p.dtype}, kRung);
  expect_close(y, reference::conv2d_forward(p.g, p.x, p.weight, {}), bound(27), "forward");
}

// Whole runs and groups stay as they are, and so do f32 and norms on load.
TEST(Conv2dPadded, IsOnlyWhatNeedsIt) {
  const auto offered = [](std::int64_t c, std::int64_t groups, DType dtype, bool norms) {
    const NormLine line{};
    Conv2dForward op{conv2d_geometry({1, 5, 5, c}, {8, 3, 3, c / groups}, {.groups = groups}),
                     nullptr, nullptr, nullptr, dtype};
    if (norms) op.prologue = {&line, true};
    const auto names = on_sim::rungs(op);
    return std::ranges::count(names, std::string_view(kRung)) == 1;
  };
  EXPECT_TRUE(offered(3, 1, DType::f16, false));
  EXPECT_FALSE(offered(8, 1, DType::f16, false));
  EXPECT_FALSE(offered(6, 2, DType::f16, false));
  EXPECT_FALSE(offered(3, 1, DType::f32, false));
  EXPECT_FALSE(offered(3, 1, DType::f16, true));
}

}  // namespace
}  // namespace convoy::testing
