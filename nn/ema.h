// SPDX-License-Identifier: MIT
#pragma once
// The exponential moving average of a model's weights and running statistics, in full precision,
// step by step beside the training. It is often the better model, and is evaluated and saved as
// one:
//
//   Ema ema(store, {.decay = 0.9998});
//   ema.begin_step();                                // before the optimizer's, which uploads
//   optimizer.begin_step(learning_rate);
//   ...
//   optimizer.step();
//   ema.step();                                      // nothing where the optimizer skipped
//   ema.with_averages([&] { evaluate(model); });
//
// Over a store that is one rank's with ZeRO stage 1 (nn/shards.h) each rank keeps the averages of
// its own ranges alone; what is said to be collective is for all ranks to call together then. The
// bits are those of a rank that keeps all.

#include <functional>

#include "nn/batch_norm_ranks.h"
#include "nn/parameter_store.h"

namespace convoy::nn {

struct EmaOptions {
  double decay = 0.9998;  // weight of the old average
  bool warmup = false;    // a smaller weight in the beginning
};

// The weight of the old average in a step before which there were so many, skipped ones too: 0 in
// the first, so that it begins with weights that were trained; then `decay`, or with warm-up
// min(decay, 1 - (1 + steps)^(-2/3)). As timm's ModelEmaV3.
double ema_decay_after(std::int64_t steps, const EmaOptions& options);

class Ema {
 public:
  // The store must outlive this, and be shared before. Averages start as the weights are now.
  Ema(ParameterStore& store, const EmaOptions& options);

  // Sets the host's part of StepState for the step that begins.
  void begin_step();
  // Moves the averages towards the weights that the optimizer has just stepped. May be captured.
  void step();
  // Sets the averages to the weights, as at a run's start.
  void restart();

  // Calls body while the model has the averages in place of its weights and running statistics,
  // rounded where weights are half. Those come back to the bit, also when body throws; until then
  // they take memory a second time. Collective.
  void with_averages(const std::function<void()>& body);
  // Lets all ranks have the same averages of running statistics, as share_running_statistics does.
  // Collective in any case.
  void share_statistics(RankExchange& ranks, RunningStatistics which);

  // All averages under the names of the model's state(), whole and without padding: what a
  // checkpoint holds. Collective.
  std::vector<NamedTensor> weights(const Module& model) const;
  // Lets `fill` write such averages, whatever number of ranks they were saved by.
  void load(const Module& model, const ParameterStore::Fill& fill);
  // Those of a group's parameters, laid out as they are; with ZeRO this rank's ranges.
  const Tensor& of_group(std::size_t group) const { return averages_[group]; }
  // Of this rank.
  std::int64_t bytes() const;

 private:
  ParameterStore& store_;
  EmaOptions options_;
  std::vector<Tensor> averages_;  // of each group, f32 where values are half: this rank's ranges
  Tensor buffers_;                // of all buffers; undefined where the model has none
};

}  // namespace convoy::nn
