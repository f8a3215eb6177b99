// SPDX-License-Identifier: MIT
#include "data/batch_mix.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/data/files.h"

namespace convoy::data {
namespace {

constexpr ImageExtent kExtent{20, 30, 3};
constexpr int kDraws = 20'000;

struct Moments {
  double mean = 0, variance = 0;
};

Moments of_shares(const MixOptions& options) {
  Moments m;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double share = draw_mix(options, kExtent, {.seed = 9, .epoch = 2, .index = i}).share;
    EXPECT_TRUE(share >= 0 && share <= 1) << share;
    m.mean += share / kDraws;
    squares += share * share / kDraws;
  }
  m.variance = squares - m.mean * m.mean;
  return m;
}

// Of Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)). Five standard errors of 20,000 draws.
TEST(BatchMix, SharesOfMixupFollowBeta) {
  for (const double a : {0.1, 0.2, 1.0, 4.0}) {
    const Moments m = of_shares({.mixup = a});
    const double variance = 1 / (4 * (2 * a + 1));
    EXPECT_NEAR(m.mean, 0.5, 5 * std::sqrt(variance / kDraws)) << a;
    EXPECT_NEAR(m.variance, variance, 0.004) << a;
  }
}

TEST(BatchMix, TheBoxOfCutmixIsTheShare) {
  std::vector<float> weights(static_cast<std::size_t>(kExtent.height * kExtent.width));
  int whole = 0, cut = 0;
  for (int i = 0; i < 2000; ++i) {
    const BatchMix mix = draw_mix({.cutmix = 1}, kExtent, {.seed = 1, .index = i});
    EXPECT_TRUE(mix.cut);
    fill_weights(mix, kExtent, weights);
    const float sum = std::accumulate(weights.begin(), weights.end(), 0.0f);
    EXPECT_NEAR(sum / static_cast<float>(weights.size()), mix.share, 1e-6);
    for (const float weight : weights) EXPECT_TRUE(weight == 0 || weight == 1);
    whole += mix.box.height == 0 || mix.box.width == 0;
    cut += mix.box.height > 0 && mix.box.width > 0 &&
           weights[static_cast<std::size_t>(mix.box.y * kExtent.width + mix.box.x)] == 1;
  }
  EXPECT_GT(cut, 1500);
  EXPECT_EQ(whole + cut, 2000);
}

TEST(BatchMix, ProbabilitiesHold) {
  const MixOptions both{.mixup = 0.2, .cutmix = 1, .probability = 0.8, .switch_probability = 0.25};
  int none = 0, cut = 0;
  for (int i = 0; i < kDraws; ++i) {
    const BatchMix mix = draw_mix(both, kExtent, {.seed = 4, .index = i});
    none += mix.share == 0 && !mix.cut;
    cut += mix.cut;
  }
  EXPECT_NEAR(none, 0.2 * kDraws, 300);
  EXPECT_NEAR(cut, 0.2 * kDraws, 300);
}

TEST(BatchMix, DependsOnSeedEpochAndBatch) {
  const MixOptions options{.mixup = 1};
  const double share = draw_mix(options, kExtent, {.seed = 1, .epoch = 1, .index = 1}).share;
  EXPECT_EQ(share, draw_mix(options, kExtent, {.seed = 1, .epoch = 1, .index = 1}).share);
  EXPECT_NE(share, draw_mix(options, kExtent, {.seed = 2, .epoch = 1, .index = 1}).share);
  EXPECT_NE(share, draw_mix(options, kExtent, {.seed = 1, .epoch = 2, .index = 1}).share);
  EXPECT_NE(share, draw_mix(options, kExtent, {.seed = 1, .epoch = 1, .index = 2}).share);
  EXPECT_EQ(draw_mix({}, kExtent, {}).share, 0);
}

TEST(BatchMix, NeighboursArePartnersAmongRowsWithASample) {
  const auto partners = [](std::int64_t rows, std::int64_t valid) {
    std::vector<std::int64_t> all;
    for (std::int64_t r = 0; r < rows; ++r) all.push_back(partner_of(r, valid));
    return all;
  };
  EXPECT_EQ(partners(4, 4), (std::vector<std::int64_t>{1, 0, 3, 2}));
  EXPECT_EQ(partners(5, 5), (std::vector<std::int64_t>{1, 0, 3, 2, 4}));
  EXPECT_EQ(partners(6, 3), (std::vector<std::int64_t>{1, 0, 2, 3, 4, 5}));
  EXPECT_EQ(partners(2, 0), (std::vector<std::int64_t>{0, 1}));
}

TEST(BatchMix, RefusesBadOptions) {
  testing::expect_error(ErrorKind::usage, [] { check(MixOptions{.mixup = -1}); }, {"0 or more"});
  testing::expect_error(ErrorKind::usage, [] { check(MixOptions{.probability = 2}); }, {"found 2"});
}

}  // namespace
}  // namespace convoy::data
