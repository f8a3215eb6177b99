// SPDX-License-Identifier: MIT
// The rung wgmma of conv2d: what the copy engine walks over, tiles of each width, parts of the
// weights' gradient. Every schedule, every time of completion.
#include <algorithm>
#include <string_view>

#include "kernels/sim/options.h"
#include "tests/kernels/gpu/conv2d_check.h"
#include "tests/support/seeds.h"

namespace convoy::testing {
namespace {

constexpr const char* kRung = "wgmma";

// Where the gradient of the input is rung 4's.
void check_strided(const Problem& p, bool flag) {
  check_forward(p, flag, kRung);
  check_backward_weight(p, true, !flag, flag, kRung);
}

// Pixels, channels and filters in ragged tiles, of which one begins in the middle of an image;
// padding that differs between height and width, and none.
GPU_CASE(Conv2dWgmma, RaggedTiles) {
  NEEDS_WGMMA();
  check_rung(Problem({3, 7, 9, 72}, {24, 3, 3, 72}, {.padding = {1, 1}}, DType::f16), true, kRung);
  check_rung(Problem({2, 9, 8, 8}, {136, 3, 2, 8}, {.padding = {0, 1}}, DType::bf16), false, kRung);
}

GPU_CASE(Conv2dWgmma, OneOfEverything) {
  NEEDS_WGMMA();
  check_rung(Problem({1, 1, 1, 8}, {8, 1, 1, 8}, {}, DType::f16), true, kRung);
  check_rung(Problem({1, 1, 1, 64}, {64, 1, 1, 64}, {}, DType::bf16), false, kRung);
}

// The weights' gradient is zero then.
GPU_CASE(Conv2dWgmma, EmptyBatch) {
  NEEDS_WGMMA();
  check_rung(Problem({0, 5, 4, 8}, {16, 3, 2, 8}, {}, DType::f16), false, kRung);
  check_rung(Problem({0, 5, 4, 8}, {16, 3, 2, 8}, {}, DType::bf16), true, kRung);
}

GPU_CASE(Conv2dWgmma, LargeKernelsAndDilation) {
  NEEDS_WGMMA();
  check_rung(Problem({1, 8, 9, 16}, {8, 5, 5, 16}, {.padding = {2, 2}}, DType::bf16), true, kRung);
  check_rung(
      Problem({2, 9, 11, 24}, {72, 3, 3, 24}, {.padding = {2, 1}, .dilation = {2, 3}}, DType::f16),
      false, kRung);
}

// More padding than the kernel is wide: the gradient of the input sees only part of dy.
GPU_CASE(Conv2dWgmma, WidePadding) {
  NEEDS_WGMMA();
  check_rung(Problem({2, 5, 6, 8}, {16, 2, 1, 8}, {.padding = {3, 2}}, DType::f16), true, kRung);
}

// Behind the last tap a tile has columns whose tap the copy engine could not count to.
GPU_CASE(Conv2dWgmma, FarTaps) {
  NEEDS_WGMMA();
  check_rung(
      Problem({1, 2, 1, 8}, {8, 3, 1, 8}, {.padding = {127, 0}, .dilation = {127, 1}}, DType::f16),
      false, kRung);
}

GPU_CASE(Conv2dWgmma, Strides) {
  NEEDS_WGMMA();
  const Conv2dOptions stem{.stride = {2, 2}, .padding = {3, 3}};
  check_strided(Problem({1, 11, 13, 8}, {16, 7, 7, 8}, stem, DType::f16), true);
  check_strided(Problem({2, 17, 9, 72}, {40, 1, 1, 72}, {.stride = {2, 2}}, DType::bf16), false);
  check_strided(
      Problem({2, 14, 17, 24}, {136, 3, 3, 24}, {.stride = {1, 2}, .padding = {1, 0}}, DType::f16),
      false);
}

// As many tiles of 256 columns as there are multiprocessors.
GPU_CASE(Conv2dWgmma, WideTiles) {
  NEEDS_WGMMA();
  check_forward(Problem({1, 12, 11, 8}, {264, 2, 1, 8}, {.padding = {1, 0}}, DType::f16), true,
                kRung);
  check_backward_input(Problem({1, 12, 11, 264}, {8, 1, 2, 264}, {}, DType::bf16), false, kRung);
}

// Enough pixels for several parts, the last of them shorter; either gradient alone.
GPU_CASE(Conv2dWgmma, PartsOfTheWeightsGradient) {
  NEEDS_WGMMA();
  const Problem p({3, 21, 23, 8}, {16, 1, 2, 8}, {}, DType::f16);
  char any = 0;
  const Conv2dBackwardWeight op{p.g, nullptr, nullptr, &any, false, nullptr, false, p.dtype};
  const std::size_t sums = static_cast<std::size_t>(p.g.weight_shape().count()) * sizeof(float);
  EXPECT_GE(plan_variant(op, case_device(), kRung).workspace_bytes, 2 * sums);
  check_backward_weight(p, true, true, true, kRung, DType::f32);
  check_backward_weight(p, true, false, false, kRung);
  check_backward_weight(p, false, true, false, kRung);
}

// The copy engine stores at multiples of 16 bytes, a thread reads a bias and a residual by pairs.
GPU_CASE(Conv2dWgmma, TakesNoOtherAddresses) {
  NEEDS_WGMMA();
  const Problem p({1, 4, 5, 8}, {16, 3, 3, 8}, {.padding = {1, 1}}, DType::f16);
  alignas(16) std::uint16_t memory[16] = {};
  const auto takes = [](const auto& op) {
    const auto rungs = variants(op, case_device());
    return std::count(rungs.begin(), rungs.end(), std::string_view(kRung)) == 1;
  };
  Conv2dForward op{p.g, memory, memory, memory, p.dtype};
  EXPECT_TRUE(takes(op));
  op.y = memory + 1;
  EXPECT_FALSE(takes(op));
  op.y = memory;
  op.epilogue.bias = memory + 1;
  EXPECT_FALSE(takes(op));
  op.epilogue.bias = memory + 2;
  EXPECT_TRUE(takes(op));
  op.epilogue.residual = memory + 1;
  EXPECT_FALSE(takes(op));
  EXPECT_TRUE(takes(Conv2dBackwardInput{p.g, memory, memory, memory, true, p.dtype}));
  EXPECT_FALSE(takes(Conv2dBackwardInput{p.g, memory, memory, memory + 1, true, p.dtype}));
}

TEST(Conv2dWgmma, AHundredSeedsGiveTheSameBits) {
  NEEDS_WGMMA();
  const sim::Options before = sim::options();
  const Problem p({2, 24, 24, 8}, {16, 1, 2, 8}, {}, DType::bf16);
  const DeviceArray x(p.dtype, p.x), weight(p.dtype, p.weight), dy(p.dtype, p.dy);
  const auto run = [&] {
    const DeviceArray y(p.dtype, p.g.output_shape().count()),
        dx(p.dtype, p.g.input_shape().count());
    const DeviceArray dweight(DType::f32, p.g.weight_shape().count());
    run_rung(Conv2dForward{p.g, x.data(), weight.data(), y.data(), p.dtype}, kRung);
    run_rung(Conv2dBackwardInput{p.g, dy.data(), weight.data(), dx.data(), false, p.dtype}, kRung);
    run_rung(Conv2dBackwardWeight{p.g, x.data(), dy.data(), dweight.data(), false, nullptr, false,
                                  p.dtype, DType::f32},
             kRung);
    return std::vector{y.values(), dx.values(), dweight.values()};
  };
  const auto first = run();
  for (std::uint64_t seed = 1; seed < seeds(100); ++seed) {
    sim::options() = {.schedule = sim::Schedule::seeded, .async = sim::Async::seeded, .seed = seed};
    const bool same = run() == first;
    sim::options() = before;
    ASSERT_TRUE(same) << "seed " << seed;
  }
}

bool is_listed(const auto& op) {
  for (const char* rung : on_sim::rungs(op)) {
    if (std::string_view(rung) == kRung) return true;
  }
  return false;
}
template <class Op>
Op of_shape(const Conv2dGeometry& g, DType dtype) {
  Op op{};
  op.g = g, op.dtype = dtype;
  return op;
}

struct Listed {
  bool forward, input, weight;
  friend bool operator==(const Listed&, const Listed&) = default;
};
Listed listed(const Shape& x, const Shape& weight, const Conv2dOptions& options = {},
              DType dtype = DType::f16) {
  const Conv2dGeometry g = conv2d_geometry(x, weight, options);
  return {is_listed(of_shape<Conv2dForward>(g, dtype)),
          is_listed(of_shape<Conv2dBackwardInput>(g, dtype)),
          is_listed(of_shape<Conv2dBackwardWeight>(g, dtype))};
}

TEST(Conv2dWgmma, IsListedWhereTheCopyEngineTakesTheImages) {
  const Listed all{true, true, true}, none{}, but_input{true, false, true};
  const Shape x{2, 16, 16, 8}, w{16, 3, 3, 8};
  EXPECT_EQ(listed(x, w), all);
  EXPECT_EQ(listed(x, w, {}, DType::bf16), all);
  EXPECT_EQ(listed(x, w, {}, DType::f32), none);
  EXPECT_EQ(listed({0, 16, 16, 8}, w), all);
  EXPECT_EQ(listed({2, 16, 16, 4}, {16, 3, 3, 4}), none);
  EXPECT_EQ(listed(x, {12, 3, 3, 8}), none);
  EXPECT_EQ(listed({2, 16, 16, 16}, {16, 3, 3, 8}, {.groups = 2}), none);
  EXPECT_EQ(listed(x, w, {.stride = {1, 2}}), but_input);
  EXPECT_EQ(listed(x, w, {.stride = {2, 1}}), but_input);
  EXPECT_EQ(listed(x, w, {.stride = {8, 8}}), but_input);
  EXPECT_EQ(listed(x, w, {.stride = {9, 1}}), none);
  EXPECT_EQ(listed(x, {16, 1, 1, 8}, {.padding = {129, 0}}), none);
  EXPECT_EQ(listed({2, 400, 16, 8}, w, {.dilation = {64, 1}}), all);
  EXPECT_EQ(listed({2, 400, 16, 8}, w, {.dilation = {65, 1}}), none);
}

TEST(Conv2dWgmma, IsListedForAlignedFactors) {
  alignas(16) static char bytes[32];
  const Conv2dGeometry g = conv2d_geometry({2, 16, 16, 8}, {16, 3, 3, 8}, {});
  auto forward = of_shape<Conv2dForward>(g, DType::f16);
  auto input = of_shape<Conv2dBackwardInput>(g, DType::f16);
  auto weight = of_shape<Conv2dBackwardWeight>(g, DType::f16);
  const auto expect_aligned = [&](auto& op, const void*& factor) {
    EXPECT_TRUE(is_listed(op));
    factor = bytes + 16;
    EXPECT_TRUE(is_listed(op));
    factor = bytes + 8;
    EXPECT_FALSE(is_listed(op));
    factor = nullptr;
  };
  expect_aligned(forward, forward.x);
  expect_aligned(forward, forward.weight);
  expect_aligned(input, input.dy);
  expect_aligned(input, input.weight);
  expect_aligned(weight, weight.x);
  expect_aligned(weight, weight.dy);
}

// Large tiles are worth it where there is one for each of the three multiprocessors, and where few
// of a stage's 64 channels are padding. Of few channels, smaller tiles of all taps.
TEST(Conv2dWgmma, ThePlanTakesItForManyTiles) {
  const auto variant = [](auto op, const Shape& x, const Shape& weight) {
    op.g = conv2d_geometry(x, weight, {.padding = {1, 1}});
    op.dtype = DType::bf16;
    return std::string(plan(op, kSimDevice).variant);
  };
  EXPECT_EQ(variant(Conv2dForward{}, {1, 15, 18, 64}, {64, 3, 3, 64}), "wgmma");
  EXPECT_EQ(variant(Conv2dForward{}, {1, 16, 16, 64}, {64, 3, 3, 64}), "halo");
  EXPECT_EQ(variant(Conv2dForward{}, {1, 16, 16, 64}, {72, 3, 3, 64}), "tensor_core");
  EXPECT_EQ(variant(Conv2dForward{}, {1, 12, 12, 80}, {64, 3, 3, 80}), "tensor_core");
  EXPECT_EQ(variant(Conv2dForward{}, {1, 15, 18, 32}, {64, 3, 3, 32}), "halo");
  EXPECT_EQ(variant(Conv2dForward{}, {1, 15, 18, 40}, {64, 3, 3, 40}), "wgmma");
  EXPECT_EQ(variant(Conv2dBackwardInput{}, {1, 15, 18, 64}, {64, 3, 3, 64}), "wgmma");
  EXPECT_EQ(variant(Conv2dBackwardWeight{}, {1, 15, 18, 64}, {128, 3, 3, 64}), "wgmma");
  EXPECT_EQ(variant(Conv2dBackwardWeight{}, {1, 15, 18, 64}, {64, 3, 3, 64}), "halo");
  EXPECT_EQ(variant(Conv2dBackwardWeight{}, {1, 15, 18, 64}, {128, 1, 1, 64}), "tensor_core");
}

}  // namespace
}  // namespace convoy::testing
