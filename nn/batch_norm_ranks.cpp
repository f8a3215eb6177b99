// SPDX-License-Identifier: MIT
#include "nn/batch_norm_ranks.h"

#include "nn/layers/norm.h"
#include "runtime/autograd.h"
#include "runtime/ops/reduce.h"
#include "runtime/ops/view.h"

namespace convoy::nn {
namespace {

// Mean and variance of every batch norm that has its own, in order.
std::vector<Tensor> running_statistics(Module& model) {
  std::vector<Tensor> all;
  model.for_each<BatchNorm2d>([&](const BatchNorm2d& norm) {
    if (norm.is_synchronised()) return;
    const NormOperands operands = norm.operands();
    all.push_back(operands.running_mean);
    all.push_back(operands.running_var);
  });
  return all;
}

// Calls f(part, statistics) for each one's part of a dense tensor that holds them all.
template <class F>
void for_each_part(const Tensor& flat, const std::vector<Tensor>& all, F&& f) {
  std::int64_t begin = 0;
  for (const Tensor& statistics : all) {
    f(slice(flat, 0, begin, begin + statistics.count()), statistics);
    begin += statistics.count();
  }
}

}  // namespace

void synchronise_batch_norm(Module& model, const std::shared_ptr<RankExchange>& ranks) {
  model.for_each<BatchNorm2d>([&](BatchNorm2d& norm) { norm.synchronise(ranks); });
}

Tensor agreed_statistics(const Tensor& own, RankExchange& ranks, RunningStatistics which) {
  const NoGrad inference;
  const Tensor each = empty({ranks.world_size(), own.count()}, own.like());
  ranks.gather(own, each);
  if (which == RunningStatistics::mean) return mean(each, {0});
  return reshape(slice(each, 0, 0, 1), {own.count()});
}

void share_running_statistics(Module& model, RankExchange& ranks, RunningStatistics which) {
  const NoGrad inference;
  const std::vector<Tensor> all = running_statistics(model);
  if (all.empty()) return;
  std::int64_t count = 0;
  for (const Tensor& statistics : all) count += statistics.count();
  const Tensor own = empty({count}, all.front().like());
  for_each_part(own, all, [](Tensor part, const Tensor& from) { part.copy_(from); });
  const Tensor agreed = agreed_statistics(own, ranks, which);
  for_each_part(agreed, all, [](const Tensor& part, Tensor to) { to.copy_(part); });
}

}  // namespace convoy::nn
