// SPDX-License-Identifier: MIT
// The distributions are tested on the cpu; here the numbers are compared with the cpu's.
#include "kernels/random_fill.h"

#include <cmath>

#include "tests/support/fenced_array.h"

namespace convoy::testing {
namespace {

constexpr PhiloxKey kKey{.seed = 0x1234567890abcdef, .stream = 3};
constexpr std::int64_t kCounts[] = {0, 1, 3, 4, 5, 7, 8, 9, 255, 256, 257, 1000};

// The cpu's numbers in double precision.
template <class Fill>
std::vector<double> numbers(Fill op, std::int64_t count) {
  std::vector<double> y(static_cast<std::size_t>(count));
  op.count = count;
  op.y = y.data();
  op.dtype = DType::f64;
  run(op, {}, nullptr, {});
  return y;
}

template <class Fill>
std::vector<double> fill(Fill op, DType dtype, std::int64_t count, std::int64_t shift = kAligned) {
  const FencedArray y(dtype, count, shift);
  op.count = count;
  op.y = y.data();
  op.dtype = dtype;
  run_on_device(op);
  return y.values();
}

GPU_CASE(UniformFillKernel, HasTheSameBitsAsTheCpu) {
  const UniformFill op{0, nullptr, DType::f32, kKey, -1, 3, 5};
  for (const std::int64_t count : kCounts) {
    std::vector<float> expected(static_cast<std::size_t>(count));
    UniformFill on_cpu = op;
    on_cpu.count = count;
    on_cpu.y = expected.data();
    run(on_cpu, {}, nullptr, {});
    const std::vector<double> wide(expected.begin(), expected.end());
    EXPECT_EQ(fill(op, DType::f32, count), wide) << count;
    EXPECT_EQ(fill(op, DType::f32, count, kMisaligned), wide) << count;
  }
}

GPU_CASE(UniformFillKernel, HalvesAreRoundedOnceAndStayBelowTheEnd) {
  const UniformFill op{0, nullptr, DType::f32, kKey, -1, 3, 5};
  for (const DType dtype : {DType::f16, DType::bf16}) {
    std::vector<double> expected = rounded(dtype, numbers(op, 1000));
    const double last = 3 - 2 * epsilon(dtype);
    for (double& v : expected) v = std::min(v, last);
    EXPECT_EQ(fill(op, dtype, 1000), expected);
    EXPECT_EQ(fill(op, dtype, 1000, kMisaligned), expected);
  }
  // Where there is one number alone in [low, high), or none but low's neighbour.
  const auto all = [](double low, double high) {
    return fill(UniformFill{0, nullptr, DType::f16, kKey, low, high, 5}, DType::f16, 9);
  };
  EXPECT_EQ(all(2048, 2050), std::vector<double>(9, 2048));
  EXPECT_EQ(all(-2050, -2048), std::vector<double>(9, -2050));
  EXPECT_EQ(all(-0x1p-24, 0), std::vector<double>(9, -0x1p-24));
}

// Errors in double precision, and one rounding to the dtype.
template <class Error>
void expect_rounded(const std::vector<double>& found, const std::vector<double>& exact, DType dtype,
                    Error error) {
  ASSERT_EQ(found.size(), exact.size());
  const double half_step = dtype == DType::f16 ? 0x1p-25 : 0x1p-134;  // of subnormal numbers
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double limit = epsilon(dtype) / 2 * std::abs(exact[i]) + half_step + error(exact[i]);
    ASSERT_LE(std::abs(found[i] - exact[i]), limit) << i << " in " << name(dtype);
  }
}

GPU_CASE(NormalFillKernel, AgreesWithTheCpu) {
  const NormalFill op{0, nullptr, DType::f32, kKey, 0.25, 2, 7};
  for_each_dtype([&](DType dtype) {
    for (const std::int64_t count : kCounts) {
      const std::vector<double> exact = numbers(op, count);
      // A radius of at most 7 and a cosine are known to a few 2^-53.
      const auto error = [](double) { return 2 * 7 * 0x1p-50; };
      expect_rounded(fill(op, dtype, count), exact, dtype, error);
      expect_rounded(fill(op, dtype, count, kMisaligned), exact, dtype, error);
    }
  });
}

GPU_CASE(TruncatedNormalFillKernel, AgreesWithTheCpu) {
  for (const auto& [low, high] : {std::pair(-1.0, 4.0), std::pair(-20.0, 20.0)}) {
    const TruncatedNormalFill op{0, nullptr, DType::f32, kKey, 0.5, 2, low, high, 7};
    for_each_dtype([&](DType dtype) {
      for (const std::int64_t count : {0, 1, 5, 257, 1000}) {
        const std::vector<double> exact = numbers(op, count);
        // Probabilities are known to 2^-53, and a quantile to that over the density.
        const auto error = [](double v) {
          const double z = (v - 0.5) / 2;
          return 2 * 8 * 0x1p-53 * (std::sqrt(2 * M_PI) * std::exp(z * z / 2) + std::abs(z));
        };
        expect_rounded(fill(op, dtype, count), exact, dtype, error);
        expect_rounded(fill(op, dtype, count, kMisaligned), exact, dtype, error);
      }
    });
  }
  EXPECT_THROW(fill(TruncatedNormalFill{0, nullptr, DType::f32, kKey, 0, 1, 2, 1}, DType::f32, 1),
               Error);
}

GPU_CASE(TruncatedNormalFillKernel, CutsAtBothEnds) {
  // So far out a quantile is known to about 0.03: without the cut some would lie outside.
  const TruncatedNormalFill op{0, nullptr, DType::f32, kKey, 0, 1, 8, 8.125};
  for (const double v : fill(op, DType::f32, 100)) {
    EXPECT_GE(v, op.low);
    EXPECT_LE(v, op.high);
  }
}

GPU_CASE(PermutationFillKernel, IsTheCpus) {
  for (const std::int64_t count : {0, 1, 2, 7, 256, 1009}) {
    for (const std::uint64_t step : {0, 1}) {
      std::vector<std::int64_t> expected(static_cast<std::size_t>(count));
      run(PermutationFill{count, expected.data(), kKey, step}, {}, nullptr, {});
      const DeviceValues<std::int64_t> y(std::vector<std::int64_t>(expected.size(), -1));
      run_on_device(PermutationFill{count, y.data(), kKey, step});
      EXPECT_EQ(y.values(), expected) << count;
    }
  }
  EXPECT_THROW(run_on_device(PermutationFill{std::int64_t{1} << 32, nullptr, kKey, 0}), Error);
}

}  // namespace
}  // namespace convoy::testing
