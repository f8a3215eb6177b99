// SPDX-License-Identifier: MIT
#include "nn/shards.h"

#include "tests/nn/sharded_cases.h"
#include "tests/support/errors.h"

namespace convoy::nn::sharded {
namespace {

std::vector<Case> cases() {
  return each_optimizer([](const OptimizerOptions& options, double clip, bool half) -> Job {
    if (!half) return {options, {}, {}, clip};
    return {options, {}, DType::bf16, clip, 3, 1};
  });
}
INSTANTIATE_TEST_SUITE_P(Optimizers, ShardedSteps, ::testing::ValuesIn(cases()), case_name);

TEST(ShardedLars, IsNearTheWhole) {
  expect_lars_is_near_the_whole<OddParameters>({}, {});
  expect_lars_is_near_the_whole<OddParameters>({}, DType::bf16);
  expect_lars_is_near_the_whole<OneParameter>({}, {});
}

TEST(Resumed, WhatAnyJobHasSavedAnyOtherLoads) {
  expect_any_job_loads_what_any_has_saved({{.kind = sgd, .weight_decay = 0.01}});
  expect_any_job_loads_what_any_has_saved({{.kind = adamw, .weight_decay = 0.01}});
  expect_any_job_loads_what_any_has_saved(
      {{.kind = rmsprop, .weight_decay = 0.01}, {}, DType::bf16});
}

// Of 64 KiB of parameters, whose parts are equal but for whole 64 elements.
class LargeParameter : public Module {
 public:
  LargeParameter() { add_parameter("weight", {128, 128}, Init::constant(0)); }
  Tensor forward(const Tensor& x) override { return x; }
};

TEST(Shards, OptimizerBytesFallToOneOfAllRanks) {
  for (const std::optional<DType> half : {std::optional<DType>(), std::optional(DType::bf16)}) {
    Job job{{.kind = adamw}, {}, half};
    job.steps = 1;
    constexpr std::int64_t kCount = 128 * 128;
    const std::int64_t all = kCount * (half ? 12 : 8);
    EXPECT_EQ(end_of(Rank<LargeParameter>(job, nullptr, 0)).bytes, all);
    for (const int world_size : {2, 3, 4}) {
      std::int64_t sum = 0;
      for (const End& end : run_ranks<LargeParameter>(job, world_size, 1)) {
        sum += end.bytes;
        EXPECT_LE(end.bytes, all / world_size + 86 * 64 * (half ? 12 : 8));  // of 86 buckets
      }
      EXPECT_EQ(sum, all);
      for (const End& end : run_ranks<LargeParameter>(job, world_size, 0)) {
        EXPECT_EQ(end.bytes, all);
      }
    }
  }
}

TEST(Shards, EachElementExpectsOneOwner) {
  replay_ranks(2, [](const std::shared_ptr<RankExchange>& ranks) {
    const auto error = [&](const std::vector<std::vector<Shards::Ranges>>& parts) {
      const Shards shards{parts, ranks};
      return testing::error_of([&] { require_partition(shards, {128, 64}); });
    };
    const auto says = [&](const auto& parts, const std::string& what) {
      testing::expect_says(error(parts), what);
    };
    EXPECT_EQ(error({{{{0, 64}}, {{0, 64}}}, {{{64, 128}}, {}}}), "");
    EXPECT_EQ(error({{{{0, 0}, {64, 128}}, {}}, {{{0, 64}}, {{0, 64}, {64, 64}}}}), "");
    says(std::vector<std::vector<Shards::Ranges>>{{{{0, 128}}, {{0, 64}}}}, "2 ranks, found 1");
    using Parts = std::vector<std::vector<Shards::Ranges>>;
    says(Parts{{{{0, 64}}, {{0, 64}}}, {{{64, 127}}, {}}},
         "group 0 expects 128 elements, found 127");
    says(Parts{{{{0, 64}}, {{0, 64}}}, {{{65, 128}}, {}}}, "element 64 of group 0");
    says(Parts{{{{0, 64}}, {{0, 64}}}, {{{63, 128}}, {}}}, "element 64 of group 0");
    says(Parts{{{{0, 128}}, {{0, 64}}}, {{}, {{0, 64}}}}, "element 64 of group 1");
    says(Parts{{{{0, 128}}}, {{}, {{0, 64}}}}, "rank 0 expects ranges of 2 groups, found 1");
    says(Parts{{{{64, 128}, {0, 64}}, {{0, 64}}}, {{}, {}}}, "ascending");
    EXPECT_THROW(require_partition({}, {}), Error);
  });
}

}  // namespace
}  // namespace convoy::nn::sharded
