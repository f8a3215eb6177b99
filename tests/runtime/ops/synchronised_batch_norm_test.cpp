// SPDX-License-Identifier: MIT
// The rows of one batch, spread over ranks, against batch normalisation of them all by its
// definition.
#include <gtest/gtest.h>

#include "tests/runtime/ops/spread_batch.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

using spread_batch::Case;
using spread_batch::expect_the_whole;
using spread_batch::kCases;

TEST(SynchronisedBatchNorm, RanksTogetherAreOneOnCpu) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.cuts.size() - 1 << " ranks, " << c.cuts.back());
    expect_the_whole(c, DType::f32, {});
    expect_the_whole(c, DType::f64, {});
  }
}

TEST(SynchronisedBatchNorm, OfOneRankItIsBatchNormBitForBit) {
  testing::replay_ranks(1, [](const auto& ranks) {
    const Tensor x = from_vector(testing::random_values<float>(60, 1), {20, 3});
    const Tensor a = x.clone().set_requires_grad(true), b = x.clone().set_requires_grad(true);
    const Tensor y = synchronised_batch_norm_act(a, {}, {}, {}, {}, 0.1, 1e-5, {}, true, ranks);
    const Tensor z = batch_norm_act(b, {}, {}, {}, {}, true, 0.1, 1e-5, {}, true);
    const Tensor dy = from_vector(testing::random_values<float>(60, 2), {20, 3});
    y.backward(dy), z.backward(dy);
    EXPECT_EQ(to_vector<float>(y), to_vector<float>(z));
    EXPECT_EQ(to_vector<float>(a.grad()), to_vector<float>(b.grad()));
  });
}

TEST(SynchronisedBatchNorm, OneValueInAllHasNoVariance) {
  testing::replay_ranks(1, [](const auto& ranks) {
    EXPECT_THROW(
        synchronised_batch_norm_act(zeros({1, 3}), {}, {}, {}, {}, 0.1, 1e-5, {}, false, ranks),
        Error);
  });
  EXPECT_THROW(
      synchronised_batch_norm_act(zeros({2, 3}), {}, {}, {}, {}, 0.1, 1e-5, {}, false, nullptr),
      Error);
}

// Between two ranks whose rows do not change: their outputs get no gradient, but what they bring to
// mean and variance counts.
class ConstantNeighbours final : public RankExchange {
 public:
  int rank() const override { return 1; }
  int world_size() const override { return 3; }
  void gather(const Tensor& own, const Tensor& all) override {
    const std::int64_t n = own.count();
    auto* const each = all.as<double>();
    std::fill_n(each, 3 * n, 0.0);
    std::copy_n(own.as<double>(), n, each + n);
    if (n % 2 == 0) return;  // sums of gradients
    const std::int64_t channels = n / 2;
    for (const std::int64_t r : {0, 2}) {
      each[r * n] = static_cast<double>(4 + r);
      for (std::int64_t c = 0; c < channels; ++c) {
        each[r * n + 1 + c] = 0.3 * static_cast<double>(r - c);
        each[r * n + 1 + channels + c] = 2.5 + static_cast<double>(c);
      }
    }
  }
};

}  // namespace

using testing::Inputs;

GRADCHECK(synchronised_batch_norm) {
  for (const bool relu : {true, false}) {
    const auto f = [=](const Inputs& x) {
      return synchronised_batch_norm_act(x[0], x[1], x[2], {}, {}, 0.1, 1e-5, x[3], relu,
                                         std::make_shared<ConstantNeighbours>());
    };
    g.check({g.random({2, 5}), g.random({5}), g.random({5}), g.random({2, 5})}, f);
    g.check({g.random({1, 3}), g.random({3}), g.random({3}), g.random({1, 3})}, f);
    g.check({g.random({0, 3}), g.random({3}), g.random({3}), g.random({0, 3})}, f);
    g.check({g.random({2, 3, 3, 2}), g.random({2}), g.random({2}), Tensor()}, f);
    g.check({g.random({5, 1}), g.random({1}), g.random({1}), Tensor()}, f);
    g.check({g.noncontiguous({7, 3}), Tensor(), Tensor(), g.noncontiguous({7, 3})}, f);
  }
  g.check({g.random({7, 5})}, [](const Inputs& x) {
    return synchronised_batch_norm_act(x[0], {}, {}, {}, {}, 0.1, 1e-5, x[0], true,
                                       std::make_shared<ConstantNeighbours>());
  });
}

}  // namespace convoy
