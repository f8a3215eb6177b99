// SPDX-License-Identifier: MIT
#include "kernels/binary.h"

#include <cmath>

#include "tests/support/fenced_array.h"
#include "tests/support/reference/binary.h"

namespace convoy::testing {
namespace {

constexpr BinaryFn kFunctions[] = {BinaryFn::add, BinaryFn::sub, BinaryFn::mul, BinaryFn::div};

// Runs op on copies of `a` and `b` on the device, and the reference on the values.
void check(Binary op, std::vector<double> a, std::vector<double> b, std::int64_t shift = kAligned) {
  for (double& v : b) v += v < 0 ? -0.5 : 0.5;  // away from 0, for the quotient
  a = rounded(op.dtype, a);
  b = rounded(op.dtype, b);
  const FencedArray device_a(op.dtype, a, shift), device_b(op.dtype, b, shift);
  const FencedArray y(op.dtype, op.shape.count(), shift);
  const FencedArray sum(op.dtype, std::vector<double>(op.shape.count(), 0.25), shift);
  op.a = a.data();
  op.b = b.data();
  std::vector<double> expected = reference::binary<double>(op);
  op.a = device_a.data();
  op.b = device_b.data();
  op.y = y.data();
  run_on_device(op);
  expect_close(y, expected, {}, name(op.fn));
  op.y = sum.data();
  op.accumulate = true;
  run_on_device(op);
  for (double& v : expected) v += 0.25;
  expect_close(sum, expected, {.scale = 2}, std::string(name(op.fn)) + " accumulate");
}

Binary broadcast(BinaryFn fn, const Shape& a, const Shape& b, DType dtype, double scale) {
  const Shape shape = broadcast_shapes("test", a, b);
  return {fn,
          shape,
          broadcast_strides(a, contiguous_strides(a), shape),
          broadcast_strides(b, contiguous_strides(b), shape),
          nullptr,
          nullptr,
          nullptr,
          dtype,
          scale};
}

GPU_CASE(BinaryKernel, Broadcasts) {
  const std::pair<Shape, Shape> shapes[] = {
      {{}, {}},
      {{1}, {1, 1}},
      {{3, 7, 31}, {3, 7, 31}},
      {{5, 13}, {}},
      {{}, {5, 13}},
      {{2, 3, 5, 7}, {7}},
      {{33, 9}, {9}},
      {{7}, {2, 3, 5, 7}},
      {{4, 3, 3, 5}, {4, 1, 1, 5}},
      {{31, 17}, {31, 1}},
      {{31, 1}, {17}},
      {{2, 1, 3, 1, 5}, {4, 1, 6, 1}},
      {{6, 24}, {24}},
      {{6, 24}, {6, 1}},
      {{6, 1}, {24}},
      {{}, {5, 16}},
      {{3, 4, 8}, {3, 1, 8}},
      {{0, 3}, {3}},
      {{2, 0, 3}, {1, 1, 3}},
  };
  for_each_dtype([&](DType dtype) {
    for (const auto& [a, b] : shapes) {
      for (const BinaryFn fn : kFunctions) {
        SCOPED_TRACE(fmt::format("{} {} {}", fn, a, b));
        const double scale = fn == BinaryFn::mul ? -0.5 : 1;
        check(broadcast(fn, a, b, dtype, scale), random_doubles(dtype, a.count(), 1),
              random_doubles(dtype, b.count(), 2));
      }
    }
  });
}

GPU_CASE(BinaryKernel, AnySizeAndAlignment) {
  for_each_dtype([](DType dtype) {
    for (const std::int64_t count : {0, 1, 7, 8, 9, 255, 256, 257, 1000}) {
      for (const std::int64_t shift : {kAligned, kMisaligned}) {
        check(broadcast(BinaryFn::sub, {count}, {count}, dtype, 0.5),
              random_doubles(dtype, count, 1), random_doubles(dtype, count, 2), shift);
      }
    }
  });
}

GPU_CASE(BinaryKernel, TakesTransposedAndReversedOperands) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> a = random_doubles(dtype, 35, 1), b = random_doubles(dtype, 35, 2);
    const FencedArray device_a(dtype, a), device_b(dtype, b), y(dtype, 35);
    Binary op{BinaryFn::mul, {5, 7}, {1, 5}, {-7, -1}, a.data(), b.data() + 34, y.data(), dtype};
    const std::vector<double> expected = reference::binary<double>(op);
    op.a = device_a.data();
    op.b = device_b.as<char>() + 34 * size_of(dtype);
    run_on_device(op);
    expect_close(y, expected, {}, "reversed");
  });
}

GPU_CASE(BinaryKernel, WorksInPlace) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> a = random_doubles(dtype, 100, 1);
    std::vector<double> twice = a;
    for (double& v : twice) v *= 2;
    const FencedArray x(dtype, a);
    run_on_device(dense_binary(BinaryFn::add, 100, x.data(), x.data(), x.data(), dtype));
    expect_equal(x, twice, "doubled in place");
  });
}

GPU_CASE(BinaryKernel, SpecialValues) {
  for_each_dtype([](DType dtype) {
    const double inf = HUGE_VAL, large = dtype == DType::f16 ? 65504 : 0x1.fep127;
    const double tiny = dtype == DType::f16 ? 0x1p-24 : dtype == DType::bf16 ? 0x1p-133 : 0x1p-149;
    struct {
      BinaryFn fn;
      double a, b, expected;
    } const cases[] = {
        {BinaryFn::div, NAN, 1, NAN},         {BinaryFn::div, 1, 0, inf},
        {BinaryFn::div, 1, -0.0, -inf},       {BinaryFn::div, inf, inf, NAN},
        {BinaryFn::div, 0, 0, NAN},           {BinaryFn::add, inf, -inf, NAN},
        {BinaryFn::add, large, large, inf},   {BinaryFn::sub, large, large, 0},
        {BinaryFn::add, -0.0, -0.0, -0.0},    {BinaryFn::sub, tiny, -tiny, 2 * tiny},
        {BinaryFn::mul, -inf, 2, -inf},       {BinaryFn::mul, tiny, -1, -tiny},
        {BinaryFn::mul, large, -large, -inf},
    };
    for (const auto& c : cases) {
      const FencedArray a(dtype, std::vector<double>(9, c.a)),
          b(dtype, std::vector<double>(9, c.b));
      const FencedArray y(dtype, 9);
      run_on_device(dense_binary(c.fn, 9, a.data(), b.data(), y.data(), dtype));
      expect_equal(y, std::vector<double>(9, c.expected), name(c.fn));
    }
  });
}

GPU_CASE(BinaryKernel, OtherDTypesAreRefused) {
  EXPECT_THROW(run_on_device(dense_binary(BinaryFn::add, 1, nullptr, nullptr, nullptr, DType::i32)),
               Error);
}

}  // namespace
}  // namespace convoy::testing
