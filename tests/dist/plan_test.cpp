// SPDX-License-Identifier: MIT
#include "dist/plan.h"

#include <gtest/gtest.h>

#include "dist/zero.h"
#include "nn/ema.h"
#include "nn/init.h"
#include "nn/loss.h"
#include "runtime/allocator.h"

namespace convoy::dist {
namespace {

double live_bytes() { return static_cast<double>(allocator({}).stats().live_bytes); }

// Of a small block the allocator loses up to an eighth.
void expect_allocated(double found, std::int64_t planned, const char* what) {
  const auto expected = static_cast<double>(planned);
  EXPECT_GE(found, expected) << what;
  EXPECT_LE(found, 1.125 * expected + 4096) << what;
}

// The first of several ranks, whose others nobody asks for anything here.
class FirstOfMany final : public Communicator {
 public:
  explicit FirstOfMany(int world_size) : world_size_(world_size) {}
  int rank() const override { return 0; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "first"; }
  Work reduce_scatter(const Tensor&, const Tensor&, const Partition&) override { return {}; }
  Work all_gather(const Tensor&, const Tensor&, const Partition&) override { return {}; }
  Work all_reduce(const Tensor&, const Tensor&, const Partition&) override { return {}; }
  Work broadcast(const Tensor&, int) override { return {}; }
  void barrier() override {}

 private:
  int world_size_;
};

// What the rank that has the most asks the allocator for.
void expect_plan_is_kept(const PlanOptions& options, int zero_stage = 0) {
  const StagePlan plan = make_plan(options).stages[static_cast<std::size_t>(zero_stage)];
  const nn::ModelInfo& info = nn::model_info(options.model);
  const double before = live_bytes();
  const auto model = nn::create_model(options.model);
  nn::initialize(*model, 1);
  nn::ParameterStore store(*model, {}, {}, options.half);
  FirstOfMany ranks(options.world_size);
  const auto buckets = make_buckets(*model, store, options.world_size, options.buckets);
  if (zero_stage > 0) store.share(make_shards(store, buckets, ranks, zero_stage));
  nn::Optimizer optimizer(store, options.optimizer);
  EXPECT_EQ(optimizer.optimizer_bytes(), plan.optimizer);
  std::optional<nn::Ema> ema;
  if (options.model_ema) ema.emplace(store, nn::EmaOptions{});
  double buffers = 0;  // running statistics, which no plan counts
  if (const Tensor& flat = store.buffers().values; flat.defined()) {
    const auto bytes = static_cast<std::size_t>(flat.count()) * size_of(flat.dtype());
    buffers = static_cast<double>(Allocator::block_bytes(bytes));
  }
  expect_allocated(live_bytes() - before - buffers,
                   plan.parameters + plan.gradients + plan.optimizer + plan.averages, "at rest");
  if (options.half) return;  // on cpu models compute in f32

  const double resting = live_bytes();
  allocator({}).reset_peak();
  const Tensor x = zeros({options.batch_size, info.image_size, info.image_size, info.in_channels});
  cross_entropy((*model)(x), zeros({options.batch_size}, {DType::i64}), {}).backward();
  const double took = static_cast<double>(allocator({}).stats().peak_bytes) - resting;
  EXPECT_NEAR(took, static_cast<double>(plan.activations), 0.15 * took) << options.model;
}

TEST(Plan, IsWhatTheAllocatorIsAskedFor) {
  for (const int batch_size : {2, 5, 33}) {
    expect_plan_is_kept({.model = "lenet5", .batch_size = batch_size});
    expect_plan_is_kept({.model = "resnet20", .batch_size = batch_size});
  }
  expect_plan_is_kept({.model = "resnet20", .batch_size = 40, .dry_run_bytes = 12e6});
  using enum nn::OptimizerKind;
  expect_plan_is_kept({.model = "lenet5", .batch_size = 2, .optimizer = {.kind = adamw}});
  expect_plan_is_kept(
      {.model = "lenet5", .batch_size = 2, .half = DType::f16, .optimizer = {.kind = adamw}});
}

TEST(Plan, OfAShardedOptimizerIsWhatTheAllocatorIsAskedFor) {
  using enum nn::OptimizerKind;
  for (const int world_size : {1, 2, 5}) {
    for (const nn::OptimizerKind kind : {sgd, adamw}) {
      PlanOptions options{.model = "resnet20",
                          .world_size = world_size,
                          .batch_size = 2,
                          .optimizer = {.kind = kind}};
      expect_plan_is_kept(options, 1);
      options.half = DType::bf16;
      expect_plan_is_kept(options, 1);
    }
  }
}

TEST(Plan, OfAveragesIsWhatTheAllocatorIsAskedFor) {
  for (const std::optional<DType> half : {std::optional<DType>(), std::optional(DType::f16)}) {
    PlanOptions options{.model = "resnet20", .batch_size = 2, .half = half};
    const Plan without = make_plan(options);
    EXPECT_EQ(without.stages[0].averages, 0);
    options.model_ema = true;
    const Plan alone = make_plan(options);
    EXPECT_GT(alone.stages[0].averages, 4 * alone.parameter_count);
    EXPECT_EQ(alone.stages[0].total(), without.stages[0].total() + alone.stages[0].averages);
    for (const int world_size : {1, 2, 5}) {
      options.world_size = world_size;
      expect_plan_is_kept(options, 0);
      expect_plan_is_kept(options, 1);
      const Plan plan = make_plan(options);
      EXPECT_EQ(plan.stages[0].averages, alone.stages[0].averages);
      EXPECT_LE(plan.stages[1].averages, alone.stages[0].averages * (world_size > 1 ? 6 : 10) / 10);
    }
  }
}

TEST(Plan, OptimizerBytesFallToOneOfAllRanks) {
  for (const int world_size : {2, 3, 4, 8}) {
    const Plan plan = make_plan({.model = "resnet20",
                                 .world_size = world_size,
                                 .batch_size = 2,
                                 .half = DType::bf16,
                                 .optimizer = {.kind = nn::OptimizerKind::adamw}});
    const auto &all = plan.stages[0], &own = plan.stages[1];
    const double part = static_cast<double>(all.optimizer) / world_size;
    EXPECT_NEAR(static_cast<double>(own.optimizer), part, 0.02 * part) << world_size;
    EXPECT_EQ(own.parameters, all.parameters);
    EXPECT_EQ(own.gradients, 2 * all.parameters);
    EXPECT_EQ(all.optimizer, 12 * (all.parameters / 2));  // masters, and AdamW's two
  }
}

TEST(Plan, CommunicationIsThatOfARing) {
  PlanOptions options{.model = "lenet5",
                      .world_size = 4,
                      .batch_size = 2,
                      .bytes_per_second = 1e9,
                      .latency = 1e-5};
  EXPECT_DOUBLE_EQ(ring_seconds(options, 1'000'000, 1'000'000, 3), 0.75 * 2e-3 + 2 * 3 * 3 * 1e-5);
  const Plan plan = make_plan(options);
  EXPECT_EQ(plan.stages[0].sent, plan.stages[1].sent);  // f32: all that ZeRO gathers is as large
  EXPECT_DOUBLE_EQ(plan.stages[0].seconds, ring_seconds(options, plan.stages[0].gradients,
                                                        plan.stages[0].gradients, plan.buckets));
  options.half = DType::f16;
  const Plan half = make_plan(options);
  EXPECT_EQ(half.stages[1].sent * 4, half.stages[0].sent * 3);  // half parameters are gathered
  options.world_size = 1;
  const Plan alone = make_plan(options);
  EXPECT_EQ(alone.stages[0].sent, 0);
  EXPECT_EQ(alone.stages[0].seconds, 0);
  EXPECT_EQ(alone.stages[1].optimizer, alone.stages[0].optimizer);
}

TEST(Plan, RefusesWhatIsNoJob) {
  EXPECT_THROW(make_plan({.model = "lenet"}), Error);
  EXPECT_THROW(make_plan({.model = "lenet5", .world_size = 0}), Error);
  EXPECT_THROW(make_plan({.model = "lenet5", .batch_size = 0}), Error);
  EXPECT_THROW(make_plan({.model = "lenet5", .bytes_per_second = 0}), Error);
}

}  // namespace
}  // namespace convoy::dist
