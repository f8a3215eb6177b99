// SPDX-License-Identifier: MIT
#include "kernels/upsample.h"

#include <cmath>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/upsample.h"

namespace convoy::testing {
namespace {

using reference::Resize;

struct Case {
  Shape x;
  std::array<std::int64_t, 2> size{0, 0};
  std::array<double, 2> factor{0, 0};
  std::int64_t shift = kAligned;
};
const Case kCases[] = {
    {{1, 1, 1, 1}, {1, 1}},
    {{2, 3, 5, 7}, {6, 10}},
    {{2, 3, 5, 8}, {7, 3}},
    {{2, 3, 5, 8}, {7, 3}, {0, 0}, kMisaligned},
    {{1, 7, 4, 2}, {1, 9}},
    {{1, 1, 1, 3}, {4, 5}},
    {{2, 4, 4, 16}, {0, 0}, {2, 2}},
    {{1, 5, 7, 2}, {0, 0}, {1.5, 0.6}},
    {{1, 11, 3, 2}, {33, 42}},
    {{1, 30, 1, 1}, {22, 1}},  // 11 * (30 / 22) falls short of 15 in f64
    {{0, 3, 3, 4}, {6, 6}},
};

UpsampleGeometry geometry_of(const Case& c, Resize mode) {
  UpsampleOptions o{.size = c.size, .scale_factor = c.factor};
  if (mode != Resize::nearest) o.mode = UpsampleMode::bilinear;
  o.align_corners = mode == Resize::align_corners;
  return upsample_geometry(c.x, o);
}

reference::Upsample reference_of(const Case& c, const UpsampleGeometry& g, Resize mode) {
  const auto matrix = [&](const UpsampleAxis& a, double factor) {
    const double scale =
        factor > 0 ? 1 / factor : static_cast<double>(a.in) / static_cast<double>(a.out);
    return reference::resize_matrix(a.in, a.out, scale, mode);
  };
  return {g.batch,
          g.h.in,
          g.w.in,
          g.channels,
          g.h.out,
          g.w.out,
          matrix(g.h, c.factor[0]),
          matrix(g.w, c.factor[1])};
}

GPU_CASE(UpsampleKernel, AgreesWithTheDefinition) {
  for (const Case& c : kCases) {
    for (const Resize mode : {Resize::nearest, Resize::bilinear, Resize::align_corners}) {
      const UpsampleGeometry g = geometry_of(c, mode);
      const reference::Upsample ref = reference_of(c, g, mode);
      SCOPED_TRACE(fmt::format("{} to {}, mode {}", c.x, g.output_shape(), static_cast<int>(mode)));
      for_each_dtype([&](DType dtype) {
        const std::vector<double> x = random_doubles(dtype, c.x.count(), 1);
        const std::vector<double> dy = random_doubles(dtype, g.output_shape().count(), 2);
        const FencedArray device_x(dtype, x, c.shift), device_dy(dtype, dy, c.shift);
        const FencedArray y(dtype, std::ssize(dy), c.shift), dx(dtype, std::ssize(x), c.shift);
        run_on_device(UpsampleForward{g, device_x.data(), y.data(), dtype});
        expect_close(y, ref.forward(x), {.k = 4}, "y");

        // At most 7 x 42 outputs read an input pixel.
        UpsampleBackward op{g, device_dy.data(), dx.data(), false, dtype};
        run_on_device(op);
        std::vector<double> expected = ref.backward(dy);
        expect_close(dx, expected, {.k = 300}, "dx");

        const FencedArray sum(dtype, std::vector<double>(x.size(), 0.5), c.shift);
        op.dx = sum.data();
        op.accumulate = true;
        run_on_device(op);
        for (double& v : expected) v += 0.5;
        expect_close(sum, expected, {.k = 300}, "dx accumulate");
      });
    }
  }
}

GPU_CASE(UpsampleKernel, AnInfinityStaysWithItsReaders) {
  // Twice the size: output 0 reads pixel 0 alone; outputs 1 to 3 read pixel 1 too.
  const FencedArray x(DType::f32, std::vector<double>{1, HUGE_VAL});
  const FencedArray y(DType::f32, 4);
  const UpsampleGeometry g =
      upsample_geometry({1, 1, 2, 1}, {.size = {1, 4}, .mode = UpsampleMode::bilinear});
  run_on_device(UpsampleForward{g, x.data(), y.data(), DType::f32});
  expect_equal(y, {1, HUGE_VAL, HUGE_VAL, HUGE_VAL}, "y");
}

}  // namespace
}  // namespace convoy::testing
