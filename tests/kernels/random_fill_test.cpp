// SPDX-License-Identifier: MIT
#include "kernels/random_fill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace convoy {
namespace {

constexpr PhiloxKey kKey{.seed = 42, .stream = 3};

TEST(Philox, KnownAnswers) {
  // The vectors that accompany the paper's library (Random123, kat_vectors, philox4x32-10).
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0, 0),
            (PhiloxWords{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes),
            (PhiloxWords{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (PhiloxWords{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EveryPartOfTheKeyMatters) {
  const PhiloxWords base = philox_block({1, 2}, 3, 4);
  EXPECT_NE(base, philox_block({9, 2}, 3, 4));
  EXPECT_NE(base, philox_block({1 | std::uint64_t{1} << 40, 2}, 3, 4));
  EXPECT_NE(base, philox_block({1, 9}, 3, 4));
  EXPECT_NE(base, philox_block({1, 2}, 9, 4));
  EXPECT_NE(base, philox_block({1, 2}, 3, 9));
}

template <class Fill, class T = float>
std::vector<T> fill(Fill op, std::int64_t count) {
  std::vector<T> y(static_cast<std::size_t>(count) + 1, T(-77));
  op.count = count;
  op.y = y.data();
  op.dtype = sizeof(T) == 4 ? DType::f32 : DType::f64;
  run(op, {}, nullptr, {});
  EXPECT_EQ(y.back(), T(-77)) << "wrote past the end";
  y.pop_back();
  return y;
}

// Pearson's statistic of `values` over bins of equal probability under the distribution `cdf`.
template <class Cdf>
double chi_square(const std::vector<float>& values, int bins, Cdf cdf) {
  std::vector<double> found(static_cast<std::size_t>(bins));
  for (const float v : values) {
    const int bin = std::clamp(static_cast<int>(cdf(double{v}) * bins), 0, bins - 1);
    ++found[static_cast<std::size_t>(bin)];
  }
  const double expected = static_cast<double>(values.size()) / bins;
  double total = 0;
  for (const double n : found) total += (n - expected) * (n - expected) / expected;
  return total;
}

double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

// With 100 bins (99 degrees of freedom) a value above 149 has a probability below 1 in 1000; the
// numbers are fixed by the key, so this cannot fail at random.
constexpr int kBins = 100;
constexpr double kLimit = 149;

TEST(UniformFill, IsUniform) {
  const auto y = fill(UniformFill{0, nullptr, DType::f32, kKey, -1, 3}, 100003);
  EXPECT_LT(chi_square(y, kBins, [](double v) { return (v + 1) / 4; }), kLimit);
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  EXPECT_GE(*low, -1);
  EXPECT_LT(*high, 3);
}

TEST(UniformFill, NeverReachesTheEnd) {
  // Near 1e7 the floats are 1 apart: rounding alone would give `high`.
  for (const float v : fill(UniformFill{0, nullptr, DType::f32, kKey, 1e7, 1e7 + 2}, 1000)) {
    EXPECT_LT(v, 1e7f + 2);
  }
}

TEST(UniformFill, IsTheSameForEveryCountAndDType) {
  const auto many = fill(UniformFill{0, nullptr, DType::f32, kKey}, 50001);
  for (const std::int64_t count : {0, 1, 3, 7, 4099}) {
    const auto few = fill(UniformFill{0, nullptr, DType::f32, kKey}, count);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  }
  const auto wide = fill<UniformFill, double>(UniformFill{0, nullptr, DType::f32, kKey}, 4099);
  for (std::size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(static_cast<float>(wide[i]), many[i]);
  EXPECT_NE(many, fill(UniformFill{0, nullptr, DType::f32, kKey, 0, 1, 1}, 50001));
  EXPECT_EQ(many[5], philox_uniform(kKey, 0, 5));
}

TEST(NormalFill, IsNormal) {
  const auto y = fill(NormalFill{0, nullptr, DType::f32, kKey, 2, 0.5}, 100003);
  EXPECT_LT(chi_square(y, kBins, [](double v) { return normal_cdf((v - 2) / 0.5); }), kLimit);
  double covariance = 0, mean = 0;
  for (const float v : y) mean += v;
  mean /= static_cast<double>(y.size());
  EXPECT_NEAR(mean, 2, 0.01);
  for (std::size_t i = 0; i + 1 < y.size(); ++i) covariance += (y[i] - mean) * (y[i + 1] - mean);
  EXPECT_NEAR(covariance / static_cast<double>(y.size()), 0, 0.004) << "neighbours are related";
}

TEST(TruncatedNormalFill, IsNormalBetweenTheEnds) {
  const auto y = fill(TruncatedNormalFill{0, nullptr, DType::f32, kKey, 0.5, 2, -1, 4}, 100003);
  const double first = normal_cdf(-0.75), last = normal_cdf(1.75);
  EXPECT_LT(
      chi_square(y, kBins,
                 [&](double v) { return (normal_cdf((v - 0.5) / 2) - first) / (last - first); }),
      kLimit);
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  EXPECT_GE(*low, -1);
  EXPECT_LE(*high, 4);
  float one;
  EXPECT_THROW(run(TruncatedNormalFill{1, &one, DType::f32, kKey, 0, 1, 2, 1}, {}, nullptr, {}),
               Error);
}

std::vector<std::int64_t> permutation(std::int64_t count, std::uint64_t step) {
  std::vector<std::int64_t> y(static_cast<std::size_t>(count));
  run(PermutationFill{count, y.data(), kKey, step}, {}, nullptr, {});
  return y;
}

TEST(PermutationFill, HoldsEachNumberOnce) {
  for (const std::int64_t count : {0, 1, 2, 7, 1009}) {
    auto y = permutation(count, 0);
    std::sort(y.begin(), y.end());
    for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(y[static_cast<std::size_t>(i)], i);
  }
  EXPECT_EQ(permutation(1009, 1), permutation(1009, 1));
  EXPECT_NE(permutation(1009, 1), permutation(1009, 2));
}

TEST(PermutationFill, EveryOrderIsEquallyLikely) {
  std::map<std::vector<std::int64_t>, int> found;
  constexpr int kTrials = 24000;
  for (int step = 0; step < kTrials; ++step)
    ++found[permutation(4, static_cast<std::uint64_t>(step))];
  ASSERT_EQ(found.size(), 24u);
  double statistic = 0;
  for (const auto& [order, n] : found) statistic += (n - 1000.0) * (n - 1000.0) / 1000.0;
  EXPECT_LT(statistic, 49.7);  // 23 degrees of freedom, 1 in 1000
}

}  // namespace
}  // namespace convoy
