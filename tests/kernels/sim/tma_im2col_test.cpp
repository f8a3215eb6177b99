// SPDX-License-Identifier: MIT
// TMA loads in im2col mode against a walk that takes one step at a time.
#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

// Images of 16-bit numbers, every one different from its neighbours.
struct Images {
  int C, W, H, N;
  DeviceVector<std::uint16_t> values;

  Images(int channels, int width, int height, int count)
      : C(channels),
        W(width),
        H(height),
        N(count),
        values(static_cast<std::size_t>(C * W * H * N)) {
    std::iota(values.begin(), values.end(), static_cast<std::uint16_t>(1));
  }
  std::uint16_t at(int c, int w, int h, int n) const {
    const bool holds = c < C && w >= 0 && w < W && h >= 0 && h < H && n < N;
    return holds ? values[static_cast<std::size_t>(((n * H + h) * W + w) * C + c)] : 0;
  }
  Im2colMapSpec spec(const Im2colWalk& walk, int pixels) const {
    return {.data = values.data(),
            .dtype = DType::f16,
            .extent = {C, W, H, N},
            .stride = {1, C, W * C, H * W * C},
            .walk = walk,
            .channels = 64,
            .pixels = pixels,
            .swizzle = Swizzle::bytes128};
  }
};

struct Column {
  alignas(1024) std::uint16_t values[128 * 64];
  Mbarrier full;
};

struct Start {
  int c, w, h, n;
  unsigned offset_w, offset_h;
};

__global__ void load_column(const __grid_constant__ TensorMap map, Start at, int pixels,
                            std::uint16_t* y) {
  auto& s = shared<Column>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(s.full, static_cast<unsigned>(pixels) * 128);
    tma_load_im2col(s.values, map, s.full, {at.c, at.w, at.h, at.n}, {at.offset_w, at.offset_h});
  }
  mbarrier_wait(s.full, 0);
  for (int i = static_cast<int>(threadIdx.x); i < pixels * 64; i += 32) y[i] = s.values[i];
}

DeviceVector<std::uint16_t> load(const Im2colMapSpec& spec, const Start& at) {
  DeviceVector<std::uint16_t> y(static_cast<std::size_t>(spec.pixels * 64));
  launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Column), .stream = kSimStream},
         load_column, tensor_map(spec), at, spec.pixels, y.data());
  return y;
}

void check_column(const Images& x, const Im2colWalk& walk, const Start& at, int pixels) {
  const auto found = load(x.spec(walk, pixels), at);
  std::int64_t w = at.w, h = at.h;
  int n = at.n;
  for (int pixel = 0; pixel < pixels; ++pixel) {
    for (int c = 0; c < 64; ++c) {
      const int unit = (c / 8) ^ (pixel % 8);
      const auto expected = x.at(at.c + c, static_cast<int>(w) + static_cast<int>(at.offset_w),
                                 static_cast<int>(h) + static_cast<int>(at.offset_h), n);
      ASSERT_EQ(found[static_cast<std::size_t>(pixel * 64 + unit * 8 + c % 8)], expected)
          << "pixel " << pixel << " channel " << c << " of w " << w << " h " << h << " n " << n;
    }
    w += walk.step[0];
    if (w < x.W + walk.upper[0]) continue;
    w = walk.lower[0];
    h += walk.step[1];
    if (h < x.H + walk.upper[1]) continue;
    h = walk.lower[1];
    ++n;
  }
}

// Of a filter of S x R taps. Every tap, from several places of the first column on.
struct Filter {
  int S, R, pad_w, pad_h, stride_w, stride_h, dilation_w, dilation_h;

  Im2colWalk walk() const {
    return {.lower = {-pad_w, -pad_h},
            .upper = {pad_w - (S - 1) * dilation_w, pad_h - (R - 1) * dilation_h},
            .step = {stride_w, stride_h}};
  }
};

void check_filter(const Images& x, const Filter& f, int pixels) {
  const int Q = (x.W + 2 * f.pad_w - (f.S - 1) * f.dilation_w - 1) / f.stride_w + 1;
  const int P = (x.H + 2 * f.pad_h - (f.R - 1) * f.dilation_h - 1) / f.stride_h + 1;
  for (int first = 0; first < x.N * P * Q; first += std::min(pixels, 23)) {
    const int tap = first % (f.R * f.S);  // every tap comes up
    check_column(x, f.walk(),
                 {.c = first % 2 * 64,
                  .w = first % Q * f.stride_w - f.pad_w,
                  .h = first / Q % P * f.stride_h - f.pad_h,
                  .n = first / (P * Q),
                  .offset_w = static_cast<unsigned>(tap % f.S * f.dilation_w),
                  .offset_h = static_cast<unsigned>(tap / f.S * f.dilation_h)},
                 pixels);
  }
}

// Padding on all sides, columns over the ends of lines and images and past the last one, channels
// that are no multiple of 64.
TEST(TmaIm2col, LoadsEachTapOfAConvolution) {
  over_schedules([] {
    check_filter(Images(72, 5, 4, 3), {3, 3, 1, 1, 1, 1, 1, 1}, 64);
    check_filter(Images(8, 6, 5, 2), {3, 2, 2, 0, 1, 1, 1, 1}, 128);
  });
  check_filter(Images(64, 9, 7, 2), {3, 3, 1, 1, 2, 2, 1, 1}, 32);
  check_filter(Images(136, 9, 8, 2), {2, 3, 3, 4, 3, 2, 4, 3}, 40);
  check_filter(Images(16, 7, 7, 3), {1, 1, 0, 0, 2, 2, 1, 1}, 64);
  check_filter(Images(16, 3, 2, 9), {7, 7, 3, 3, 1, 1, 1, 1}, 128);
}

// The gradient of a convolution's input walks over dy with corners of its own: outside of it with
// little padding, inside with much.
TEST(TmaIm2col, WalksFromAnyCornerToAnyOther) {
  const Images x(24, 6, 5, 2);
  check_column(x, {.lower = {-2, -3}, .upper = {0, -1}}, {0, -2, -3, 0, 2, 3}, 128);
  check_column(x, {.lower = {1, 2}, .upper = {-1, 3}}, {8, 3, 4, 0, 0, 1}, 64);
  check_column(x, {.lower = {-128, 0}, .upper = {-122, 127}}, {0, -128, 0, 1, 128, 0}, 64);
  check_column(x, {.lower = {0, 0}, .upper = {0, 0}}, {0, 0, 0, 2, 0, 0}, 16);  // behind the last
}

// PTX ISA, im2col mode, examples 1 to 3, with fewer images: a column begins in the middle of one.
TEST(TmaIm2col, TakesTheManualsExamples) {
  const Images x(64, 9, 14, 6);
  check_column(x, {.lower = {-1, -1}, .upper = {-1, -1}}, {0, 7, 7, 4, 0, 0}, 64);
  check_column(x, {.lower = {0, 0}, .upper = {-2, -2}}, {0, 6, 7, 4, 2, 2}, 64);
  check_column(Images(64, 8, 14, 6), {.lower = {-1, -1}, .upper = {-1, -1}, .step = {2, 2}},
               {0, 5, 7, 5, 1, 1}, 32);
}

TEST(TmaIm2col, AWrongLoadIsNamed) {
  const Images x(64, 6, 5, 2);
  const auto error = [&](const Start& at) {
    return error_of([&] { load(x.spec({.lower = {-1, -2}, .upper = {-1, 0}}, 16), at); });
  };
  EXPECT_EQ(error({0, 4, 4, 0, 255, 0}), "");
  EXPECT_TRUE(contains(error({0, 5, 4, 0, 0, 0}), "W within the pixel box, -1 to 4, found 5"));
  EXPECT_TRUE(contains(error({0, -2, 4, 0, 0, 0}), "W within the pixel box, -1 to 4, found -2"));
  EXPECT_TRUE(contains(error({0, 0, 5, 0, 0, 0}), "H within the pixel box, -2 to 4, found 5"));
  EXPECT_TRUE(contains(error({0, 0, -3, 0, 0, 0}), "H within the pixel box, -2 to 4, found -3"));
  EXPECT_TRUE(contains(error({0, 0, 0, 0, 256, 0}), "offsets up to 255, found 256"));
  EXPECT_TRUE(contains(error({0, 0, 0, 0, 0, 256}), "offsets up to 255, found 256"));
}

template <bool kIm2col>
__global__ void load_in_mode(const __grid_constant__ TensorMap map) {
  auto& s = shared<Column>();
  mbarrier_init(s.full, 1);
  if constexpr (kIm2col) {
    tma_load_im2col(s.values, map, s.full, {0, 0, 0, 0}, {0, 0});
  } else {
    tma_load(s.values, map, s.full, {0, 0, 0, 0});
  }
}

TEST(TmaIm2col, AMapOfTheOtherModeIsNamed) {
  const Images x(64, 6, 5, 2);
  const LaunchConfig one{
      .grid = 1, .block = 1, .shared_bytes = sizeof(Column), .stream = kSimStream};
  const TensorMap im2col = tensor_map(x.spec({}, 16));
  const TensorMap tiled = tensor_map(TensorMapSpec{.data = x.values.data(),
                                                   .rank = 4,
                                                   .extent = {64, 6, 5, 2},
                                                   .stride = {1, 64, 64 * 6, 64 * 30},
                                                   .box = {64, 4, 1, 1}});
  EXPECT_TRUE(contains(error_of([&] { launch(one, load_in_mode<false>, im2col); }),
                       "expects a tiled map, found im2col"));
  EXPECT_TRUE(contains(error_of([&] { launch(one, load_in_mode<true>, tiled); }),
                       "expects an im2col map, found a tiled one"));
}

TEST(TensorMap, ExpectsWhatIm2colModeTakes) {
  const Images x(64, 6, 5, 2);
  const auto error_with = [&](auto change) {
    Im2colMapSpec spec = x.spec({}, 64);
    change(spec);
    return error_of([&] { tensor_map(spec); });
  };
  EXPECT_EQ(error_with([](auto&) {}), "");
  EXPECT_EQ(error_with([](auto& s) { s.walk = {{-128, 127}, {127, 127}, {8, 8}}; }), "");
  EXPECT_TRUE(contains(error_with([](auto& s) { s.stride[3] = 1924; }), "found 3848 bytes"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.extent[3] = 0; }), "extent 3 expects"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.walk.lower[0] = -129; }), "found -129 and 0"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.walk.upper[1] = 128; }), "found 0 and 128"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.walk.step[1] = 9; }), "1 to 8, found 9"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.walk.upper[0] = -6; }), "from 0 to -1"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.channels = 32; }), "128 bytes, found 64"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.channels = 257; }), "1 to 256, found 257"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.pixels = 1025; }), "1 to 1024, found 1025"));
}

TEST(TensorMap, SaysWhetherAWalkFits) {
  EXPECT_TRUE(fits_im2col({{-128, -128}, {127, 127}, {8, 8}}, 255, 255));
  EXPECT_FALSE(fits_im2col({}, 256, 0));
  EXPECT_FALSE(fits_im2col({}, 0, 256));
  EXPECT_FALSE(fits_im2col({{-129, 0}, {0, 0}}, 0, 0));
  EXPECT_FALSE(fits_im2col({{0, 0}, {0, -129}}, 0, 0));
  EXPECT_FALSE(fits_im2col({{0, 0}, {128, 0}}, 0, 0));
  EXPECT_FALSE(fits_im2col({{0, 0}, {0, 0}, {1, 9}}, 0, 0));
}

}  // namespace
}  // namespace convoy::on_sim
