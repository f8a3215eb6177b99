// SPDX-License-Identifier: MIT
#include "nn/ema.h"

#include <numeric>

#include "tests/nn/averaged_job.h"

namespace convoy::nn::sharded {
namespace {

const OptimizerOptions kAdamW{.kind = adamw, .weight_decay = 0.01};

TEST(Ema, TheDecayIsTimms) {
  const EmaOptions plain{.decay = 0.9998}, warm{.decay = 0.9998, .warmup = true};
  EXPECT_EQ(ema_decay_after(0, plain), 0);
  EXPECT_EQ(ema_decay_after(0, warm), 0);
  EXPECT_EQ(ema_decay_after(1, plain), 0.9998);
  EXPECT_EQ(ema_decay_after(1'000'000'000, plain), 0.9998);
  EXPECT_NEAR(ema_decay_after(7, warm), 0.75, 1e-15);  // 8^(-2/3) = 1/4
  EXPECT_NEAR(ema_decay_after(999, warm), 0.99, 1e-15);
  EXPECT_EQ(ema_decay_after(1'000'000, warm), 0.9998);
  EXPECT_THROW(AveragedRank(Job{}, nullptr, 0, {.decay = 1}), Error);
  EXPECT_THROW(AveragedRank(Job{}, nullptr, 0, {.decay = -0.1}), Error);
}

TEST(Ema, IsThatOfADoubleLoop) {
  for (const bool warmup : {false, true}) {
    for (const double decay : {0.0, 0.6, 0.9998}) {
      SCOPED_TRACE(fmt::format("decay {} {}", decay, warmup));
      const EmaOptions options{.decay = decay, .warmup = warmup};
      expect_averages_of_a_double_loop({kAdamW, {}, {}, 0, 6}, options);
      expect_averages_of_a_double_loop({kAdamW, {}, DType::bf16, 0, 6, 3}, options);
      expect_averages_of_a_double_loop({kAdamW, {}, DType::f16, 0.3, 6, 0}, options);
    }
  }
}

TEST(Ema, ServesForAWhile) {
  for (const auto half :
       {std::optional<DType>(), std::optional(DType::f16), std::optional(DType::bf16)}) {
    expect_averages_serve_for_a_while({kAdamW, {}, half});
  }
}

TEST(Ema, OfShardsEqualsTheWholeBitForBit) {
  for (const auto half : {std::optional<DType>(), std::optional(DType::bf16)}) {
    expect_averages_of_shards_equal_the_whole({kAdamW, {}, half, 0, 4, 2});
    expect_averages_of_shards_equal_the_whole({{.kind = sgd}, {}, half});
  }
}

TEST(Ema, AnyJobLoadsWhatAnyOtherHasSaved) {
  expect_any_job_loads_the_averages_of_any({kAdamW});
  expect_any_job_loads_the_averages_of_any({kAdamW, {}, DType::f16});
}

TEST(Ema, RanksHaveTheSameRunningStatistics) {
  const Job job{{.kind = sgd}};
  constexpr int kRanks = 3;
  for (const auto which : {RunningStatistics::mean, RunningStatistics::of_first}) {
    std::vector<Values> own(kRanks), agreed(kRanks);
    replay_ranks(kRanks, [&](const std::shared_ptr<RankExchange>& ranks) {
      AveragedRank rank(job, ranks, 0, kQuick, 0.7);
      rank.steps();
      const auto r = static_cast<std::size_t>(ranks->rank());
      own[r] = to_doubles(rank.ema.weights(rank.model).back().tensor);
      rank.ema.share_statistics(*ranks, which);
      agreed[r] = to_doubles(rank.ema.weights(rank.model).back().tensor);
    });
    EXPECT_NE(own[0], own[1]);
    for (std::size_t i = 0; i < own[0].size(); ++i) {
      const double mean = (own[0][i] + own[1][i] + own[2][i]) / kRanks;
      const double expected = which == RunningStatistics::mean ? mean : own[0][i];
      EXPECT_NEAR(agreed[0][i], expected, 4 * 0x1p-24 * std::abs(expected));
    }
    for (const Values& other : agreed) EXPECT_EQ(other, agreed[0]);
  }
}

TEST(Ema, BytesFallToOneOfAllRanks) {
  const Job job{{.kind = sgd}, {}, DType::bf16};
  const AveragedRank alone(job, nullptr, 0);
  std::int64_t padded = alone.store.buffers().values.count();
  for (const ParameterGroup& group : alone.store.groups()) padded += group.values.count();
  EXPECT_EQ(alone.ema.bytes(), 4 * padded);
  for (const int world_size : {2, 3, 4}) {
    std::vector<std::int64_t> each(static_cast<std::size_t>(world_size));
    replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
      each[static_cast<std::size_t>(ranks->rank())] = AveragedRank(job, ranks, 1).ema.bytes();
    });
    const std::int64_t buffers = 4 * alone.store.buffers().values.count();
    EXPECT_EQ(std::accumulate(each.begin(), each.end(), std::int64_t{0}),
              alone.ema.bytes() + (world_size - 1) * buffers);
  }
}

// A model without buffers, and with one parameter of one element.
TEST(Ema, OfOneElement) {
  class One : public Module {
   public:
    Tensor weight = add_parameter("weight", {1}, Init::constant(3));
    Tensor forward(const Tensor& x) override { return x; }
  } model;
  initialize(model, 1);
  ParameterStore store(model);
  EXPECT_FALSE(store.buffers().values.defined());
  Ema ema(store, {.decay = 0.5});
  step_state({}).host() = {.step = 1};
  ema.begin_step();
  Tensor(store.groups()[0].values).fill_(5);
  ema.step();
  EXPECT_EQ(all_of(ema.weights(model)), Values{4});
  ema.with_averages([&] { EXPECT_EQ(model.weight.detach().item(), 4); });
  EXPECT_EQ(model.weight.detach().item(), 5);
  step_state({}).host() = {};
}

}  // namespace
}  // namespace convoy::nn::sharded
