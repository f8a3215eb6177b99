// SPDX-License-Identifier: MIT
#pragma once
// What the ranks of a training run do together. With one rank all of it is nothing, and the run is
// what it is without this.
//
//   Ranks ranks(config);                       // finds and connects them
//   Optimizer optimizer(ranks.share(model, store), options);
//   ranks.backward([&] { ... }, last_batch);   // gradients are summed meanwhile
//   ranks.finish_gradients();

#include <functional>
#include <memory>
#include <string>

#include "apps/trainer/config.h"
#include "apps/trainer/evaluate.h"
#include "apps/trainer/stop.h"
#include "data/loader_options.h"
#include "dist/group.h"
#include "dist/parameter_gather.h"
#include "dist/reducer.h"
#include "nn/batch_norm_ranks.h"
#include "nn/ema.h"

namespace convoy::apps {

class Ranks {
 public:
  // Throws a usage error for an environment or batch sizes that do not suit, and what connecting
  // throws. On all ranks but the first, standard output is silent afterwards.
  explicit Ranks(const TrainConfig& config);
  ~Ranks();

  int rank() const { return place_.rank; }
  int world_size() const { return place_.world_size; }
  bool first() const { return rank() == 0; }
  const Device& device() const { return device_; }
  // "3 ranks by gloo, 60 images a batch", empty with one rank.
  std::string description() const;
  // Training images of a batch, of all ranks together.
  int batch_size() const { return batch_size_; }
  // What a loader is told, made to read this rank's rows of batches as large as all ranks'
  // together.
  data::LoaderOptions share(data::LoaderOptions options) const;

  // Runs `body`, the part of the program that other ranks depend on: where one is lost, or fails,
  // all end with an error that names it.
  void run(const std::function<void()>& body);
  // What this rank is about to do, which the others name should it be lost; `phase` is a literal.
  void enter(const char* phase);
  // The same of what follows a step: it is named with that step, not with the next.
  void enter_after_step(const char* phase);
  // Compute threads as are due to one of this machine's ranks.
  void share_cores() const;
  // Throws Error where another rank has another text.
  void require_same(const std::string& what, const std::string& text);
  // The same for version and configuration.
  void require_same_work(TrainConfig config);
  // Rank 0's text on all; the others wait for it as long as that takes. A name is used once.
  std::string made_by_first(const std::string& name, const std::function<std::string()>& make);

  // The model whose gradients are summed; both must outlive this. To be called before an optimizer
  // is made of the store, which is returned.
  nn::ParameterStore& share(nn::Module& model, nn::ParameterStore& store);
  // Throws Error (diverged) where a rank's weights, or averages of them if there are any, are not
  // those of the others.
  void require_same_weights(const nn::Ema* averages);
  // Lets all have the same running statistics of batch norm, and averages of them if there are any,
  // before they are used or saved.
  void share_statistics(nn::Ema* ema);
  // Runs the forward and backward pass of a batch; that of a step's last batch sends gradients.
  void backward(const std::function<void()>& pass, bool last);
  void finish_gradients();
  // After the optimizer's step: with ZeRO, each rank begins to get what the others have stepped.
  // Whoever uses a parameter waits for it, in a phase of its own; after await_parameters() nobody
  // has to.
  void gather_parameters();
  void await_parameters();
  // Makes of the step's loss and counts in StepState those of all ranks.
  void sum_figures();
  // A stop that any rank wishes becomes all ranks' one, a step later. To be called once per step.
  Stop agree(Stop wish);

  EvalResult sum(const EvalResult& own);
  // Each rank's numbers, as many of each, in the ranks' order.
  std::vector<std::int64_t> gather(const std::vector<std::int64_t>& own);

 private:
  struct Phase {
    const char* name;
    std::int64_t step;
  };
  void enter(const Phase& phase);
  void await(dist::Work& parameters);

  dist::Place place_;
  Device device_;
  int batch_size_;
  dist::ReducerOptions options_;
  bool sync_bn_;
  nn::RunningStatistics running_statistics_;
  std::unique_ptr<dist::Group> group_;  // of more than one rank
  std::unique_ptr<dist::Reducer> reducer_;
  std::shared_ptr<RankExchange> exchange_;
  nn::Module* model_ = nullptr;
  const nn::ParameterStore* store_ = nullptr;
  std::unique_ptr<dist::ParameterGather> parameters_;  // under way
  Phase phase_{"connect", 0};
  Tensor loss_, counts_;  // of the step, on the device
  Tensor wishes_;         // i64 [2], how many ranks wish to stop for what
  dist::Work agreement_;  // under way
};

}  // namespace convoy::apps
