// SPDX-License-Identifier: MIT
#include "dist/plan.h"

#include <algorithm>

#include "dist/zero.h"
#include "nn/ema.h"
#include "nn/init.h"
#include "nn/loss.h"
#include "runtime/allocator.h"

namespace convoy::dist {
namespace {

// Rank 0 of a job whose other ranks are not there: it tells who owns what.
class RankOfPlan final : public Communicator {
 public:
  explicit RankOfPlan(int world_size) : world_size_(world_size) {}
  int rank() const override { return 0; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "plan"; }
  Work reduce_scatter(const Tensor&, const Tensor&, const Partition&) override { refuse(); }
  Work all_gather(const Tensor&, const Tensor&, const Partition&) override { refuse(); }
  Work all_reduce(const Tensor&, const Tensor&, const Partition&) override { refuse(); }
  Work broadcast(const Tensor&, int) override { refuse(); }
  void barrier() override { refuse(); }

 private:
  [[noreturn]] static void refuse() { fail("plan: expects no communication, found some"); }
  int world_size_;
};

std::int64_t bytes_of(const Tensor& t) {
  return t.count() * static_cast<std::int64_t>(size_of(t.dtype()));
}

std::int64_t share_of_others(const PlanOptions& o, std::int64_t bytes) {
  return bytes / o.world_size * (o.world_size - 1);
}

// What a forward and a backward pass take at most beyond what was there.
std::int64_t passes_take(const PlanOptions& o, const Shape& images) {
  const auto model = nn::create_model(o.model, o.model_options);
  nn::initialize(*model, 0);
  nn::ParameterStore store(*model);
  Allocator& memory = allocator({});
  const auto before = memory.stats().live_bytes;
  memory.reset_peak();
  const Tensor target = zeros({images[0]}, {DType::i64});
  cross_entropy((*model)(zeros(images)), target, {}).backward();
  return static_cast<std::int64_t>(memory.stats().peak_bytes - before);
}

// By passes over as many rows as the dry run's memory takes; beyond, memory grows evenly. Two rows
// are the fewest that every batch norm takes.
std::int64_t activations(const PlanOptions& o, const Shape& image) {
  const auto of_rows = [&](std::int64_t rows) {
    return passes_take(o, {rows, image[0], image[1], image[2]});
  };
  constexpr std::int64_t kFew = 2;
  if (o.batch_size <= 2 * kFew) return of_rows(o.batch_size);
  const std::int64_t each = std::max<std::int64_t>(1, of_rows(2 * kFew) / (2 * kFew));
  const std::int64_t fit = std::max(2 * kFew, static_cast<std::int64_t>(o.dry_run_bytes) / each);
  if (o.batch_size <= fit) return of_rows(o.batch_size);
  const std::int64_t few = of_rows(fit / 2), more = of_rows(fit);
  return more + (more - few) * (o.batch_size - fit) / (fit - fit / 2);
}

StagePlan plan_stage(const PlanOptions& o, int zero_stage, std::int64_t& buckets) {
  const auto model = nn::create_model(o.model, o.model_options);
  nn::initialize(*model, 0);
  nn::ParameterStore store(*model, {}, {}, o.half);
  RankOfPlan ranks(o.world_size);
  const auto cut = make_buckets(*model, store, o.world_size, o.buckets);
  store.share(make_shards(store, cut, ranks, zero_stage));
  const nn::Optimizer optimizer(store, o.optimizer);
  StagePlan plan;
  for (const nn::ParameterGroup& group : store.groups()) {
    plan.parameters += bytes_of(group.values);
    plan.gradients += bytes_of(group.gradients);
  }
  plan.optimizer = optimizer.optimizer_bytes();
  if (o.model_ema) plan.averages = nn::Ema(store, {}).bytes();
  buckets = std::ssize(cut);
  const std::int64_t gathered = zero_stage == 0 ? plan.gradients : plan.parameters;
  plan.sent = share_of_others(o, plan.gradients) + share_of_others(o, gathered);
  plan.seconds = ring_seconds(o, plan.gradients, gathered, buckets);
  return plan;
}

}  // namespace

double ring_seconds(const PlanOptions& o, std::int64_t reduced, std::int64_t gathered,
                    std::int64_t buckets) {
  const double others = o.world_size - 1;
  return others / o.world_size * static_cast<double>(reduced + gathered) / o.bytes_per_second +
         2 * others * o.latency * static_cast<double>(buckets);
}

Plan make_plan(const PlanOptions& o) {
  require(o.world_size >= 1 && o.batch_size >= 1 && o.bytes_per_second > 0 && o.latency >= 0,
          "plan: expects 1 rank or more, a batch of 1 or more, a speed above 0 and a latency of 0 "
          "or more, found {}, {}, {} and {}",
          o.world_size, o.batch_size, o.bytes_per_second, o.latency);
  const nn::ModelInfo& info = nn::model_info(o.model);
  Plan plan;
  plan.image_size = o.image_size > 0 ? o.image_size : info.image_size;
  plan.channels = o.model_options.in_channels > 0 ? o.model_options.in_channels : info.in_channels;
  const std::int64_t in_f32 = activations(o, {plan.image_size, plan.image_size, plan.channels});
  for (const int stage : {0, 1}) {
    StagePlan& of = plan.stages[static_cast<std::size_t>(stage)];
    of = plan_stage(o, stage, plan.buckets);
    of.activations = o.half ? in_f32 / 2 : in_f32;
  }
  plan.parameter_count = nn::create_model(o.model, o.model_options)->parameter_count();
  return plan;
}

}  // namespace convoy::dist
