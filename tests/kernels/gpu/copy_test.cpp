// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include "tests/support/fenced_array.h"

namespace convoy::testing {
namespace {

constexpr DType kAll[] = {DType::f32, DType::f16, DType::bf16, DType::f64,
                          DType::u8,  DType::i32, DType::i64};

void check_fill(DType dtype, std::int64_t count, double value, double expected,
                std::int64_t shift = kAligned) {
  SCOPED_TRACE(name(dtype));
  const FencedArray y(dtype, count, shift);
  run_on_device(Fill{count, y.data(), value, dtype});
  expect_equal(y, std::vector<double>(static_cast<std::size_t>(count), expected), "fill");
}

GPU_CASE(FillKernel, AnySizeAndAlignment) {
  for (const DType dtype : kAll) {
    const double expected = is_floating(dtype) ? rounded(dtype, {7.3})[0] : 7;
    for (const std::int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257, 1000}) {
      for (const std::int64_t shift : {kAligned, kMisaligned}) {
        check_fill(dtype, count, 7.3, expected, shift);
      }
    }
  }
}

GPU_CASE(FillKernel, ConvertsAsCastDoes) {
  const double inf = HUGE_VAL;
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f64}) {
    for (const double v : {0.0, -0.0, inf, -inf, double{NAN}, 0x1p-24}) {
      check_fill(dtype, 9, v, v);
    }
  }
  check_fill(DType::f16, 9, 65519.9999, 65504);
  check_fill(DType::f16, 9, 65520, inf);
  check_fill(DType::f16, 9, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10);  // by way of f32 a tie, and 1
  check_fill(DType::bf16, 9, 1e300, inf);
  check_fill(DType::f32, 9, 1e300, inf);
  check_fill(DType::u8, 9, -1.5, 0);
  check_fill(DType::u8, 9, 255.9, 255);
  check_fill(DType::u8, 9, 1e9, 255);
  check_fill(DType::i32, 9, -1.9, -1);
  check_fill(DType::i32, 9, 3e9, INT32_MAX);
  check_fill(DType::i32, 9, -3e9, INT32_MIN);
  check_fill(DType::i64, 9, 1e300, 0x1p63);  // INT64_MAX, as a double
  check_fill(DType::i64, 9, -inf, -0x1p63);
  check_fill(DType::i64, 9, NAN, 0);
}

}  // namespace
}  // namespace convoy::testing
