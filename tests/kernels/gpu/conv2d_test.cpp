// SPDX-License-Identifier: MIT
#include "tests/kernels/gpu/conv2d_check.h"

#include <limits>

#include "tests/support/errors.h"

namespace convoy::testing {
namespace {

// Calls f with each rung of a pass: ours. Of no pictures the library has none, whose engines depend
// on the op's terms and addresses, and may take long to build.
template <class Op, class F>
void for_each_rung(const Problem& p, F f) {
  Op op{};
  op.g = p.g, op.g.N = 0, op.dtype = p.dtype;
  for (const char* rung : variants(op, case_device())) {
    SCOPED_TRACE(rung);
    f(rung);
  }
}

// Every pass and rung; `flag` is bias or accumulate.
void check(const Problem& p, bool flag) {
  for_each_rung<Conv2dForward>(p, [&](auto rung) { check_forward(p, flag, rung); });
  for_each_rung<Conv2dBackwardInput>(p, [&](auto rung) { check_backward_input(p, flag, rung); });
  for_each_rung<Conv2dBackwardWeight>(
      p, [&](auto rung) { check_backward_weight(p, true, true, flag, rung); });
}
void check_all(const Shape& x, const Shape& weight, const Conv2dOptions& options) {
  for_each_dtype([&](DType dtype) {
    const Problem p(x, weight, options, dtype);
    for (const bool flag : {false, true}) check(p, flag);
  });
}

GPU_CASE(Conv2dLadder, OneOfEverything) { check_all({1, 1, 1, 1}, {1, 1, 1, 1}, {}); }
GPU_CASE(Conv2dLadder, EmptyBatch) { check_all({0, 5, 4, 3}, {4, 3, 2, 3}, {}); }
GPU_CASE(Conv2dLadder, AllOptionsAtOnce) {
  check_all({2, 6, 8, 6}, {9, 3, 2, 2},
            {.stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 1}, .groups = 3});
}

// Each combination of stride, padding and dilation, all unequal in height and width.
GPU_CASE(Conv2dLadder, StridePaddingDilationGroups) {
  for (int bits = 0; bits < 16; ++bits) {
    Conv2dOptions o;
    if ((bits & 1) != 0) o.stride = {2, 3};
    if ((bits & 2) != 0) o.padding = {2, 1};
    if ((bits & 4) != 0) o.dilation = {1, 2};
    if ((bits & 8) != 0) o.groups = 2;
    SCOPED_TRACE(bits);
    check(Problem({2, 5, 6, 4}, {6, 3, 2, 4 / o.groups}, o, DType::f32), (bits & 1) != 0);
  }
}

// More than one tile in each direction, each width, channels in and out of vectors' sizes.
GPU_CASE(Conv2dLadder, SeveralTiles) {
  check(Problem({2, 7, 5, 9}, {33, 2, 3, 9}, {.padding = {1, 1}}, DType::f32), true);
  check(Problem({2, 7, 5, 24}, {20, 2, 3, 24}, {.padding = {1, 1}}, DType::f32), true);
  check(Problem({3, 5, 5, 35}, {17, 1, 2, 35}, {}, DType::f16), false);
  check(Problem({1, 3, 3, 66}, {65, 1, 1, 66}, {}, DType::bf16), true);
}

// Channels and filters in whole quads, or only one of them.
GPU_CASE(Conv2dLadder, QuadsOfChannels) {
  const Conv2dOptions strided{.stride = {2, 1}, .padding = {1, 1}, .groups = 2};
  check(Problem({2, 5, 6, 8}, {8, 3, 2, 4}, strided, DType::f32), true);
  check(Problem({1, 5, 4, 8}, {6, 3, 2, 8}, {.padding = {1, 0}}, DType::f32), false);
  check(Problem({1, 5, 4, 6}, {12, 3, 2, 6}, {.dilation = {1, 2}}, DType::f32), true);
}

// Enough tiles of the largest kind for every multiprocessor, in each of the passes.
GPU_CASE(Conv2dLadder, LargeTiles) {
  const char* rung = "register_tile";
  check_forward(Problem({2, 13, 10, 3}, {66, 1, 1, 3}, {}, DType::f32), true, rung);
  check_backward_input(Problem({2, 13, 10, 66}, {2, 1, 1, 66}, {}, DType::f32), true, rung);
  const Problem p({1, 6, 6, 33}, {65, 1, 2, 33}, {}, DType::f32);
  check_backward_weight(p, true, true, true, rung);
}

// One tap, no stride, no padding: gemm's ladder takes it, however large.
GPU_CASE(Conv2dLadder, OneTapIsAMatrixProduct) {
  check(Problem({2, 5, 7, 3}, {5, 1, 1, 3}, {}, DType::f32), true);
  check(Problem({1, 5, 7, 16}, {24, 1, 1, 16}, {}, DType::f16), true);
  check(Problem({5, 9, 9, 8}, {8, 1, 1, 8}, {}, DType::bf16), true);
}

// Enough outputs for several parts of the weights' gradient.
GPU_CASE(Conv2dLadder, SeveralParts) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    const Problem p({2, 17, 19, 1}, {3, 2, 2, 1}, {.padding = {1, 0}}, dtype);
    for_each_rung<Conv2dBackwardWeight>(
        p, [&](auto rung) { check_backward_weight(p, true, true, false, rung); });
  }
}

// Channels in runs of 16 and 4 bytes, in one run more than a group; more slabs than stages.
GPU_CASE(Conv2dLadder, TensorCoresTakeRunsOfEachWidth) {
  const Conv2dOptions all{.stride = {2, 3}, .padding = {2, 1}, .dilation = {1, 2}, .groups = 2};
  check_rung(Problem({2, 6, 5, 16}, {8, 3, 3, 16}, {.padding = {1, 1}}, DType::f16), true,
             "tensor_core");
  check_rung(Problem({1, 6, 8, 48}, {32, 3, 2, 24}, all, DType::bf16), false, "tensor_core");
  check_rung(Problem({2, 5, 5, 12}, {20, 2, 3, 6}, all, DType::f16), true, "tensor_core");
}

// A phase of the input has no taps, or none of its pixels is in the image; strides and dilations
// with a common divisor.
GPU_CASE(Conv2dLadder, StridedGradientsInPhases) {
  for (const Conv2dOptions& o :
       {Conv2dOptions{.stride = {2, 2}}, Conv2dOptions{.stride = {5, 4}, .padding = {1, 0}},
        Conv2dOptions{.stride = {2, 6}, .padding = {1, 2}, .dilation = {2, 3}}}) {
    for (const std::int64_t kernel : {1, 3}) {
      for (const bool accumulate : {false, true}) {
        const Shape x{2, 7, 8, 3}, weight{5, kernel, kernel, 3};
        check_backward_input(Problem(x, weight, o, DType::f16), accumulate, "tensor_core");
        check_backward_input(Problem(x, weight, o, DType::f32), accumulate, "register_tile");
      }
      const Problem in_quads({1, 7, 8, 4}, {8, kernel, kernel, 4}, o, DType::f32);
      check_backward_input(in_quads, false, "register_tile");
    }
  }
}

// Enough rows of dy to a thread that it asks for several at once, and some behind them.
GPU_CASE(Conv2dLadder, BiasGradientOfManyRows) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Problem p({9, 9, 9, 1}, {264, 1, 1, 1}, {}, dtype);
    check_backward_weight(p, false, true, true, "tensor_core");
  }
}

// As many tiles of 128 x 128 as there are multiprocessors, in each pass.
GPU_CASE(Conv2dLadder, TensorCoresInLargeTiles) {
  check_forward(Problem({6, 8, 8, 8}, {120, 2, 1, 8}, {.padding = {1, 0}}, DType::f16), true,
                "tensor_core");
  check_backward_input(Problem({6, 8, 8, 120}, {8, 1, 2, 120}, {.padding = {0, 1}}, DType::bf16),
                       true, "tensor_core");
  check_backward_weight(Problem({1, 6, 7, 72}, {120, 1, 5, 72}, {.padding = {0, 2}}, DType::f16),
                        true, false, false, "tensor_core");
}

// Several tiles of pixels, that begin and end within lines and images, of each number of columns;
// more filters and channels than a tile has; groups and dilations.
GPU_CASE(Conv2dLadder, HaloTakesEachPixelOnce) {
  const Conv2dOptions same{.padding = {1, 1}};
  for (const DType half : {DType::f16, DType::bf16}) {
    const Conv2dOptions apart{.padding = {2, 3}, .dilation = {2, 3}, .groups = 2};
    check_rung(Problem({2, 7, 8, 32}, {96, 3, 3, 16}, apart, half), true, "halo");
  }
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    check_rung(Problem({3, 9, 7, 16}, {16, 3, 3, 16}, same, dtype), true, "halo");
    check_rung(Problem({1, 13, 11, 32}, {48, 3, 3, 32}, same, dtype), false, "halo");
    check_rung(Problem({2, 5, 6, 80}, {16, 3, 3, 80}, same, dtype), true, "halo");
    check_rung(Problem({1, 1, 1, 16}, {32, 3, 3, 16}, same, dtype), false, "halo");
    check_rung(Problem({0, 4, 4, 16}, {16, 3, 3, 16}, same, dtype), true, "halo");
    const Conv2dOptions down{.padding = {3, 1}, .dilation = {3, 1}, .groups = 2};
    check_rung(Problem({2, 8, 7, 32}, {96, 3, 3, 16}, down, dtype), true, "halo");
  }
}

// Columns apart: of f32 not the weights' gradient.
GPU_CASE(Conv2dLadder, HaloOfF32TakesDilatedColumnsForward) {
  const Conv2dOptions apart{.padding = {2, 3}, .dilation = {2, 3}, .groups = 2};
  const Problem p({2, 7, 8, 32}, {96, 3, 3, 16}, apart, DType::f32);
  check_forward(p, true, "halo");
  check_backward_input(p, true, "halo");
  const Conv2dBackwardWeight op{p.g, nullptr, nullptr, nullptr, false, nullptr, false, DType::f32};
  EXPECT_EQ(std::ranges::count(variants(op, case_device()), std::string_view("halo")), 0);
}

GPU_CASE(Conv2dLadder, Depthwise) {
  check(Problem({2, 5, 4, 5}, {5, 3, 3, 1}, {.padding = {1, 1}, .groups = 5}, DType::f32), true);
  check(Problem({1, 5, 4, 3}, {6, 3, 2, 1}, {.stride = {2, 1}, .groups = 3}, DType::f16), false);
  check(Problem({2, 3, 4, 3}, {9, 2, 3, 1}, {.padding = {1, 0}, .groups = 3}, DType::bf16), true);
}

// Channels in packs: the windows that kernels are compiled for, with ragged strips, and others;
// more taps than shared memory holds at once.
GPU_CASE(Conv2dLadder, DepthwiseInPacks) {
  const auto check_taps = [](std::int64_t channels, std::int64_t R, std::int64_t S,
                             Conv2dOptions options, DType dtype, bool flag) {
    SCOPED_TRACE(::testing::Message() << "taps " << R << " x " << S);
    options.groups = channels;
    check_rung(Problem({2, 9, 10, channels}, {channels, R, S, 1}, options, dtype), flag,
               "depthwise");
  };
  check_taps(8, 3, 3, {.padding = {1, 1}}, DType::f32, true);
  check_taps(4, 2, 3, {.stride = {2, 1}, .padding = {0, 1}, .dilation = {2, 1}}, DType::f16, false);
  check_taps(4, 5, 5, {.padding = {2, 2}}, DType::bf16, true);
  check_taps(12, 7, 7, {.padding = {3, 3}}, DType::f32, false);
  check_taps(8, 3, 3, {.stride = {2, 2}, .padding = {1, 1}}, DType::f16, true);
  check_taps(4, 3, 5, {.dilation = {1, 2}}, DType::f32, true);
  check_taps(4, 1, 9, {.padding = {1, 4}}, DType::f32, false);
  check_taps(4, 9, 9, {.padding = {4, 4}}, DType::f32, true);
  check_taps(3, 9, 8, {.padding = {4, 4}}, DType::f32, false);
}

// More channels than a block has, and more strips than the blocks take at once.
GPU_CASE(Conv2dLadder, DepthwiseOverSeveralBlocks) {
  const Problem wide({1, 3, 5, 132}, {132, 2, 3, 1}, {.groups = 132}, DType::f32);
  check_forward(wide, true, "depthwise");
  check_backward_input(wide, true, "depthwise");
  check_backward_weight(wide, true, true, true, "depthwise");
  const Problem many({1, 7, 28, 97}, {97, 1, 1, 1}, {.groups = 97}, DType::f32);
  check_forward(many, false, "depthwise");
  check_backward_input(many, false, "depthwise");
}

GPU_CASE(Conv2dLadder, EitherGradientOfTheParametersMayBeLeftOut) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Problem p({2, 4, 5, 3}, {5, 3, 2, 3}, {}, dtype);
    for_each_rung<Conv2dBackwardWeight>(p, [&](auto rung) {
      for (const bool accumulate : {false, true}) {
        check_backward_weight(p, true, false, accumulate, rung);
        check_backward_weight(p, false, true, accumulate, rung);
        check_backward_weight(p, false, false, accumulate, rung);
      }
    });
  }
}

GPU_CASE(Conv2dLadder, GradientsOfHalfParametersMayBeF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Problem p({2, 5, 6, 4}, {6, 3, 2, 2}, {.padding = {1, 0}, .groups = 2}, dtype);
    for_each_rung<Conv2dBackwardWeight>(p, [&](auto rung) {
      for (const bool accumulate : {false, true}) {
        check_backward_weight(p, true, true, accumulate, rung, DType::f32);
      }
    });
  }
}

// An infinity reaches the results that use it and no other: a tile's overhang multiplies nothing
// that is there.
void check_infinities(DType dtype, const char* rung, std::int64_t c) {
  const bool has_input_pass = std::string_view(rung) != "padded";
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::int64_t kernel : {1, 2}) {
    for (const std::size_t place : {3, 6, 9, 255}) {
      const Problem finite({2, 12, 13, c}, {c, kernel, 1, c}, {}, dtype);
      Problem in_x = finite, in_weight = finite, in_dy = finite;
      in_x.x[place] = infinity;
      check_forward(in_x, false, rung);
      in_weight.weight[place % 9] = infinity;
      check_forward(in_weight, false, rung);
      // With longer kernels the border's zeros meet it, as in every implicit product.
      if (!has_input_pass) continue;
      if (kernel == 1) check_backward_input(in_weight, false, rung);
      in_dy.dy[place] = infinity;
      check_backward_input(in_dy, false, rung);
    }
  }
}
GPU_CASE(Conv2dLadder, InfinitiesReachWhatUsesThem) {
  // By ones with three channels, by quads with four.
  check_infinities(DType::f32, "implicit_gemm", 3);
  check_infinities(DType::f32, "register_tile", 3);
  check_infinities(DType::f32, "register_tile", 4);
  check_infinities(DType::f16, "tensor_core", 3);
  check_infinities(DType::f16, "padded", 3);
  if (has_wgmma()) check_infinities(DType::f16, "wgmma", 8);
}
// The same where the ends of lines and images lie between a pixel and its taps, and behind the last
// pixel, where a tile has rows that are none.
GPU_CASE(Conv2dLadder, InfinitiesReachWhatUsesThemByHalo) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f16, DType::f32}) {
    const Problem finite({2, 9, 8, 16}, {16, 3, 3, 16}, {.padding = {1, 1}}, dtype);
    for (const std::size_t pixel : {0, 7, 71, 72, 143}) {
      Problem in_x = finite, in_dy = finite;
      in_x.x[16 * pixel + 3] = in_dy.dy[16 * pixel + 9] = infinity;
      check_forward(in_x, false, "halo");
      check_backward_weight(in_x, true, false, false, "halo");
      check_backward_input(in_dy, false, "halo");
    }
  }
}

GPU_CASE(Conv2dLadder, TheSameCallGivesTheSameBits) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    const Problem p({2, 17, 17, 3}, {5, 3, 3, 3}, {.padding = {1, 1}}, dtype);
    const DeviceArray x(p.dtype, p.x), dy(p.dtype, p.dy);
    for_each_rung<Conv2dBackwardWeight>(p, [&](auto rung) {
      const std::int64_t count = p.g.weight_shape().count();
      const DeviceArray first(p.dtype, count), again(p.dtype, count);
      for (const DeviceArray* dweight : {&first, &again}) {
        run_rung(Conv2dBackwardWeight{p.g, x.data(), dy.data(), dweight->data(), false, nullptr,
                                      false, p.dtype},
                 rung);
      }
      expect_equal(again, first.values(), rung);
    });
  }
}

TEST(Conv2dLadder, ThePlanFollowsTheShape) {
  const auto variant = [](const Shape& x, const Shape& weight, std::int64_t groups,
                          DType dtype = DType::f16) {
    const Conv2dGeometry g = conv2d_geometry(x, weight, {.groups = groups});
    const Conv2dForward op{g, nullptr, nullptr, nullptr, dtype};
    return std::string(plan(op, kSimDevice).variant);
  };
  EXPECT_EQ(variant({8, 9, 9, 3}, {3, 3, 3, 3}, 1, DType::f32), "register_tile");
  EXPECT_EQ(variant({8, 28, 28, 1}, {6, 5, 5, 1}, 1), "tensor_core");
  EXPECT_EQ(variant({8, 28, 28, 3}, {6, 5, 5, 3}, 1), "padded");
  EXPECT_EQ(variant({1, 23, 23, 3}, {6, 5, 5, 3}, 1), "tensor_core");
  EXPECT_EQ(variant({8, 9, 9, 32}, {32, 3, 3, 16}, 2), "tensor_core");
  EXPECT_EQ(variant({8, 9, 9, 32}, {8, 1, 1, 32}, 1), "gemm");
  EXPECT_EQ(variant({8, 9, 9, 32}, {32, 3, 3, 1}, 32), "depthwise");
  EXPECT_EQ(variant({8, 9, 9, 32}, {64, 3, 3, 1}, 32), "depthwise");
  EXPECT_EQ(variant({8, 9, 9, 32}, {32, 3, 3, 2}, 16), "direct");
  EXPECT_EQ(variant({1 << 20, 64, 64, 1}, {1, 1, 1, 1}, 1), "direct");
}

TEST(Conv2dLadder, EveryPassHasItsRungs) {
  const auto expect_rungs = [](auto op) {
    using Names = std::vector<std::string>;
    const auto names = [&] {
      const auto rungs = on_sim::rungs(op);
      return Names(rungs.begin(), rungs.end());
    };
    op.g = conv2d_geometry({2, 5, 5, 4}, {4, 3, 3, 4}, {});
    EXPECT_EQ(names(), (Names{"direct", "implicit_gemm", "register_tile"}));
    op.dtype = DType::bf16;
    const bool of_input = std::is_same_v<decltype(op), Conv2dBackwardInput>;
    EXPECT_EQ(names(), of_input ? (Names{"direct", "implicit_gemm", "tensor_core"})
                                : (Names{"direct", "implicit_gemm", "tensor_core", "padded"}));
    op.g = conv2d_geometry({1 << 20, 64, 64, 1}, {1, 1, 1, 1}, {});
    EXPECT_EQ(names(), Names{"direct"});
  };
  expect_rungs(Conv2dForward{});
  expect_rungs(Conv2dBackwardInput{});
  expect_rungs(Conv2dBackwardWeight{});
}

TEST(Conv2dLadder, BadInputIsRefused) {
  const auto text = [](DType dtype, const char* rung) {
    const Conv2dGeometry g = conv2d_geometry({1, 2, 2, 1}, {1, 1, 1, 1}, {});
    const Conv2dBackwardInput op{g, nullptr, nullptr, nullptr, false, dtype};
    return error_of([&] { on_sim::plan_rung(op, kSimDevice, rung); });
  };
  expect_says(text(DType::f64, "direct"), "conv2d: dtype expects f32, f16 or bf16, found f64");
  Conv2dBackwardWeight mixed{};
  mixed.g = conv2d_geometry({1, 2, 2, 1}, {1, 1, 1, 1}, {});
  mixed.dtype = DType::f32, mixed.grad_dtype = DType::f16;
  EXPECT_THROW(plan(mixed, kSimDevice), Error);
  Conv2dBackwardInput fused{};
  fused.g = conv2d_geometry({1 << 20, 64, 64, 1}, {1, 1, 1, 1}, {});
  fused.epilogue.addend = &fused;
  EXPECT_THROW(plan(fused, kSimDevice), Error);
  expect_says(text(DType::f32, "fft"),
              "conv2d: variant expects direct, depthwise, implicit_gemm, register_tile, "
              "tensor_core, padded, halo, wgmma or gemm, found fft");
}

}  // namespace
}  // namespace convoy::testing
