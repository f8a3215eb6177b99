// SPDX-License-Identifier: MIT
#include "apps/trainer/ranks.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "apps/trainer/run_log.h"
#include "apps/version.h"
#include "dist/same_weights.h"
#include "dist/zero.h"
#include "kernels/require.h"
#include "kernels/tuning.h"
#include "runtime/device.h"
#include "runtime/random.h"
#include "runtime/step_state.h"

namespace convoy::apps {
namespace {

int global_batch_size(const TrainConfig& c, const dist::Place& place) {
  const int global = c.ranks.global_batch_size;
  if (global == 0) return c.batch_size * place.world_size;
  if (global % place.world_size != 0) {
    fail_usage("--global-batch-size expects a multiple of the {} ranks, found {}", place.world_size,
               global);
  }
  return global;
}

// All ranks print the same; the first one's is enough. Errors stay.
void silence_output() {
  if (std::freopen("/dev/null", "w", stdout) == nullptr) {
    fail("standard output: cannot be turned to /dev/null");
  }
}

}  // namespace

Ranks::Ranks(const TrainConfig& c)
    : place_(dist::place_from_environment(c.ranks.dist_init)),
      device_(dist::own_device(c.device, place_)),
      batch_size_(global_batch_size(c, place_)),
      sync_bn_(c.ranks.sync_bn),
      running_statistics_(c.ranks.dist_bn == "reduce" ? nn::RunningStatistics::mean
                                                      : nn::RunningStatistics::of_first) {
  options_.buckets.cap_mb = c.ranks.bucket_cap_mb;
  options_.buckets.first_cap_mb = std::min(1.0, c.ranks.bucket_cap_mb);
  options_.own_parts_only = c.ranks.zero_stage == 1;
  set_first_row(std::int64_t{batch_size_} * rank() / world_size());
  if (world_size() == 1) return;
  if (!first()) silence_output();
  group_ = std::make_unique<dist::Group>(
      place_, device_,
      dist::GroupOptions{.timeout = std::chrono::milliseconds(
                             static_cast<std::int64_t>(1000 * c.ranks.dist_timeout))});
  wishes_ = zeros({2}, {DType::i64, {}});
  loss_ = zeros({1}, {DType::f32, device_});
  counts_ = zeros({3}, {DType::i64, device_});
}

Ranks::~Ranks() = default;

data::LoaderOptions Ranks::share(data::LoaderOptions options) const {
  options.batch_size *= world_size();
  options.rank = rank();
  options.world = world_size();
  options.device = device_;
  return options;
}

void Ranks::run(const std::function<void()>& body) { group_ ? group_->run(body) : body(); }

void Ranks::enter(const Phase& phase) {
  phase_ = phase;
  if (!group_->enter(phase.name, phase.step)) return;
  if (store_ == nullptr)
    fail_usage("CONVOY_FAULT: expects a phase with weights, found {}", phase.name);
  dist::flip_bit(*store_);
}

void Ranks::enter(const char* phase) {
  if (group_) enter(Phase{phase, step_state(device_).host().step + 1});
}

void Ranks::enter_after_step(const char* phase) {
  if (group_) enter(Phase{phase, step_state(device_).host().step});
}

std::string Ranks::description() const {
  if (!group_) return "";
  return fmt::format("{} ranks by {}, {} images a batch", world_size(),
                     group_->communicator().name(), batch_size_);
}

void Ranks::share_cores() const {
  // Launchers that set it have shared them out.
  if (place_.local_world_size == 1 || std::getenv("OMP_NUM_THREADS") != nullptr) return;
  set_compute_threads(std::max(1, compute_threads() / place_.local_world_size));
}

void Ranks::require_same(const std::string& what, const std::string& text) {
  if (group_) group_->require_same(what, text);
}

// Where data lies, and where output goes, may differ from machine to machine.
void Ranks::require_same_work(TrainConfig config) {
  config.data.data_dir = config.output = config.profile = config.ranks.dist_init = "";
  config.threads = 0;
  require_same("version", fmt::format("{} {}", version(), commit()));
  require_same("configuration", to_json(config));
}

std::string Ranks::made_by_first(const std::string& name,
                                 const std::function<std::string()>& make) {
  return group_ ? group_->made_by_first(name, make) : make();
}

nn::ParameterStore& Ranks::share(nn::Module& model, nn::ParameterStore& store) {
  if (!group_) return store;
  model_ = &model;
  dist::Communicator& all = group_->communicator();
  store_ = &store;
  reducer_ = std::make_unique<dist::Reducer>(model, store, all, options_);
  store.share(dist::make_shards(store, reducer_->buckets(), all, options_.own_parts_only ? 1 : 0));
  // Host memory has a communicator beside the gradients', behind which norms need not wait.
  exchange_ = dist::rank_exchange(device_.type == DeviceType::cuda ? all : group_->host());
  if (sync_bn_) nn::synchronise_batch_norm(model, exchange_);
  return store;
}

void Ranks::require_same_weights(const nn::Ema* averages) {
  if (!store_) return;
  await_parameters();
  enter_after_step("compare weights");
  if (const auto wrong = dist::compare_weights(*store_, averages, group_->host())) {
    group_->fail_together(*wrong);
  }
}

void Ranks::share_statistics(nn::Ema* ema) {
  if (!model_) return;
  enter_after_step("share statistics");
  nn::share_running_statistics(*model_, *exchange_, running_statistics_);
  // Averages of what is the same everywhere are, too.
  if (ema != nullptr && !sync_bn_) ema->share_statistics(*exchange_, running_statistics_);
}

void Ranks::backward(const std::function<void()>& pass, bool last) {
  if (reducer_ && last) return reducer_->backward(pass);
  pass();
}

void Ranks::finish_gradients() {
  if (!reducer_) return;
  enter("reduce");
  reducer_->finish();
  enter("optimizer");
}

void Ranks::gather_parameters() {
  if (!reducer_ || !options_.own_parts_only) return;
  await_parameters();  // those that the step has not used
  enter("gather of parameters");
  parameters_ = std::make_unique<dist::ParameterGather>(
      *store_, reducer_->buckets(), group_->communicator(),
      [this](dist::Work& parameters) { await(parameters); });
}

void Ranks::await(dist::Work& parameters) {
  const Phase before = phase_;
  enter("gather of parameters");
  parameters.wait();
  enter(before);
}

void Ranks::await_parameters() {
  if (parameters_) parameters_->await_all();
  parameters_.reset();
}

void Ranks::sum_figures() {
  if (!group_) return;
  StepState* state = step_state(device_).device_pointer();
  const Stream stream = current_stream(device_);
  DeviceBackend& device = backend(device_);
  device.copy(loss_.data(), &state->loss, sizeof state->loss, stream);
  device.copy(counts_.data(), state->correct, sizeof state->correct, stream);
  group_->communicator().all_reduce(loss_).wait();
  group_->communicator().all_reduce(counts_).wait();
  device.copy(&state->loss, loss_.data(), sizeof state->loss, stream);
  device.copy(state->correct, counts_.data(), sizeof state->correct, stream);
}

Stop Ranks::agree(Stop wish) {
  if (!group_) return wish;
  agreement_.wait();
  std::int64_t* wishes = wishes_.as<std::int64_t>();
  const Stop agreed = wishes[1] > 0 ? Stop::signal : wishes[0] > 0 ? Stop::time_is_up : Stop::go_on;
  wishes[0] = wish == Stop::time_is_up;
  wishes[1] = wish == Stop::signal;
  agreement_ = group_->host().all_reduce(wishes_);
  return agreed;
}

EvalResult Ranks::sum(const EvalResult& own) {
  if (!group_) return own;
  const std::vector<std::int64_t> all =
      gather({own.count, own.correct, own.correct5, std::bit_cast<std::int64_t>(own.loss_sum),
              own.interrupted});
  EvalResult sum;
  for (std::size_t at = 0; at < all.size(); at += 5) {
    sum.count += all[at];
    sum.correct += all[at + 1];
    sum.correct5 += all[at + 2];
    sum.loss_sum += std::bit_cast<double>(all[at + 3]);
    sum.interrupted |= all[at + 4] != 0;
  }
  return sum;
}

std::vector<std::int64_t> Ranks::gather(const std::vector<std::int64_t>& own) {
  if (!group_) return own;
  const auto each = static_cast<std::int64_t>(own.size());
  const Tensor all = zeros({each * world_size()}, {DType::i64, {}});
  const dist::Partition parts(each * world_size(), world_size());
  group_->host().all_gather(from_vector(own, {each}), all, parts).wait();
  return to_vector<std::int64_t>(all);
}

}  // namespace convoy::apps
