// SPDX-License-Identifier: MIT
#include "nn/optimizer.h"

#include <algorithm>
#include <cstddef>

#include "kernels/optimizer.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy::nn {
namespace {

constexpr std::array<const char*, 5> kNames{"sgd", "adam", "adamw", "rmsprop", "lars"};

// The names of the state tensors in checkpoints, PyTorch's; null where there is none.
std::array<const char*, 2> state_names(const OptimizerOptions& options) {
  const char* momentum = options.momentum != 0 ? "momentum_buffer" : nullptr;
  switch (options.kind) {
    case OptimizerKind::sgd:
      return {momentum, nullptr};
    case OptimizerKind::lars:
      return {"momentum_buffer", nullptr};
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      return {"exp_avg", "exp_avg_sq"};
    case OptimizerKind::rmsprop:
      return {"square_avg", momentum};
  }
  fail("optimizer: unknown kind {}", static_cast<int>(options.kind));
}

void append(std::vector<NamedTensor>& all, std::vector<NamedTensor> more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

OptimizerKind parse_optimizer_kind(std::string_view name) {
  const auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) {
    fail_usage("--opt: expected one of {}, found '{}'", fmt::join(kNames, ", "), name);
  }
  return static_cast<OptimizerKind>(at - kNames.begin());
}

const char* name(OptimizerKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options)
    : store_(store), options_(options) {
  require(!options.nesterov || options.momentum > 0,
          "optimizer: nesterov expects a momentum above 0, found {}", options.momentum);
  require(store.groups().size() <= kMaxParameterGroups,
          "optimizer: at most {} parameter groups are supported, found {}", kMaxParameterGroups,
          store.groups().size());
  const auto names = state_names(options);
  std::int32_t parameters = 0;
  for (std::size_t g = 0; g < store.groups().size(); ++g) {
    GroupState state;
    if (names[0]) state.first = store.state_like(g);
    if (names[1]) state.second = store.state_like(g);
    state.pieces = cut_into_pieces(store, g);
    state.first_parameter = parameters;
    parameters += static_cast<std::int32_t>(store.groups()[g].slices.size());
    states_.push_back(state);
  }
}

StepStateBuffer& Optimizer::step_state() const {
  return convoy::step_state(store_.groups().front().values.device());
}

Stream Optimizer::stream() const { return current_stream(store_.groups().front().values.device()); }

void Optimizer::begin_step(double learning_rate, double gradient_factor) {
  StepState& host = step_state().host();
  for (float& lr : host.learning_rate) lr = static_cast<float>(learning_rate);
  host.gradient_factor = static_cast<float>(gradient_factor);
  host.clip_factor = 1;
  host.found_inf = 0;
  host.first_bad = kNoParameter;
  host.loss = 0;
  std::fill(std::begin(host.correct), std::end(host.correct), 0);
  step_state().upload(stream());
  store_.zero_grad();
}

void Optimizer::check_finite() {
  store_.finish_gradients();
  StepState* const state = step_state().device_pointer();
  for (std::size_t g = 0; g < states_.size(); ++g) {
    const Tensor& gradients = store_.groups()[g].gradients;
    const Pieces& pieces = states_[g].pieces;
    for (const Piece& piece : pieces.list) {
      run(CheckFinite{piece.count, element_at(gradients, piece.begin), state, gradients.dtype(),
                      pieces.slices_of(piece), piece.slices,
                      states_[g].first_parameter + piece.first_parameter},
          stream());
    }
  }
  if (store_.is_sharded()) agree_on_finite();
}

// Without shards every rank has looked at the same gradients.
void Optimizer::agree_on_finite() {
  RankExchange& ranks = *store_.shards()->exchange;
  StepState* const state = step_state().device_pointer();
  static_assert(offsetof(StepState, first_bad) == offsetof(StepState, found_inf) + sizeof(int));
  const TensorOptions options{DType::i32, store_.groups().front().values.device()};
  const Tensor own = empty({2}, options), each = empty({ranks.world_size(), 2}, options);
  backend(own.device()).copy(own.data(), &state->found_inf, 2 * sizeof(std::int32_t), stream());
  ranks.gather(own, each);
  run(AgreeOnFinite{ranks.world_size(), each.as<std::int32_t>(), state}, stream());
}

void Optimizer::step(const LossScaling& scaling) {
  store_.finish_gradients();
  if (options_.kind == OptimizerKind::lars && store_.is_sharded()) gather_squares();
  for (std::size_t g = 0; g < states_.size(); ++g) {
    for (const Piece& piece : states_[g].pieces.list) step_piece(g, piece);
    store_.groups()[g].values.bump_version();
  }
  run(LossScaleStep{step_state().device_pointer(), scaling}, stream());
  count_step();
}

void Optimizer::count_step() { ++step_state().host().step; }

std::int64_t Optimizer::steps() const { return step_state().read(stream()).updates; }

void Optimizer::set_steps(std::int64_t steps, std::int64_t skipped) {
  step_state().read(stream());
  StepState& host = step_state().host();
  host.step = steps;
  host.updates = steps - skipped;
  host.skipped = skipped;
  host.skipped_in_a_row = 0;
  step_state().upload_all(stream());
}

void Optimizer::step_piece(std::size_t index, const Piece& piece) {
  const ParameterGroup& group = store_.groups()[index];
  const GroupState& own = states_[index];
  const OptimizerOptions& o = options_;
  const std::int64_t count = piece.count;
  const int id = static_cast<int>(index);
  const double decay = group.weight_decay ? o.weight_decay : 0;
  void* const parameter = stepped_weights(store_, index, piece.begin, piece.position);
  const void* const gradient = element_at(group.gradients, piece.begin);
  void* const first = element_at(own.first, piece.position);
  void* const second = element_at(own.second, piece.position);
  const StepState* const state = step_state().device_pointer();
  const DType dtype = group.masters.dtype();
  HalfCopy half;
  if (store_.has_masters(group)) {
    half = {element_at(group.values, piece.begin), group.values.dtype()};
  }
  const Stream stream = group.values.stream();
  switch (o.kind) {
    case OptimizerKind::sgd:
      run(SgdStep{.count = count,
                  .parameter = parameter,
                  .gradient = gradient,
                  .momentum = first,
                  .state = state,
                  .group = id,
                  .dtype = dtype,
                  .options = {o.momentum, decay, o.nesterov},
                  .half = half},
          stream);
      break;
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      run(AdamWStep{.count = count,
                    .parameter = parameter,
                    .gradient = gradient,
                    .exp_avg = first,
                    .exp_avg_sq = second,
                    .state = state,
                    .group = id,
                    .dtype = dtype,
                    .options = {o.betas[0], o.betas[1], o.eps, decay,
                                /*decoupled=*/o.kind == OptimizerKind::adamw},
                    .half = half},
          stream);
      break;
    case OptimizerKind::rmsprop:
      run(RmspropStep{.count = count,
                      .parameter = parameter,
                      .gradient = gradient,
                      .square_avg = first,
                      .momentum = second,
                      .grad_avg = nullptr,
                      .state = state,
                      .group = id,
                      .dtype = dtype,
                      .options = {o.alpha, o.eps, decay, o.momentum},
                      .half = half},
          stream);
      break;
    case OptimizerKind::lars:
      run(LarsStep{.slices = own.pieces.slices_of(piece),
                   .slice_count = piece.slices,
                   .parameter = parameter,
                   .gradient = gradient,
                   .momentum = first,
                   .state = state,
                   .group = id,
                   .dtype = dtype,
                   .options = {o.momentum, decay, o.trust_coefficient, o.eps, o.nesterov},
                   .half = half,
                   .squares = squares_of(own.first_parameter + piece.first_parameter)},
          stream);
      break;
  }
}

std::vector<NamedTensor> Optimizer::named(std::size_t index, const FlatState& flat) const {
  std::vector<NamedTensor> out;
  const auto names = state_names(options_);
  for (std::size_t i = 0; i < flat.size(); ++i) {
    if (!flat[i].defined()) continue;
    for (const NamedSlice& slice : store_.groups()[index].slices) {
      out.push_back(
          {fmt::format("{}.{}", names[i], slice.name), ParameterStore::view(flat[i], slice)});
    }
  }
  return out;
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> all;
  for (std::size_t g = 0; g < states_.size(); ++g) {
    FlatState flat{states_[g].first, states_[g].second};
    for (Tensor& t : flat) t = t.defined() ? store_.whole(g, t) : t;
    append(all, named(g, flat));
  }
  return all;
}

void Optimizer::load_state(const ParameterStore::Fill& fill) {
  std::vector<NamedTensor> all;
  std::vector<FlatState> whole;
  for (std::size_t g = 0; g < states_.size(); ++g) {
    FlatState flat{states_[g].first, states_[g].second};
    for (Tensor& t : flat) t = t.defined() ? store_.place_for_whole(g, t) : t;
    append(all, named(g, flat));
    whole.push_back(flat);
  }
  fill(all);
  for (std::size_t g = 0; g < states_.size(); ++g) {
    if (whole[g][0].defined()) store_.take(g, whole[g][0], states_[g].first);
    if (whole[g][1].defined()) store_.take(g, whole[g][1], states_[g].second);
  }
}

std::int64_t Optimizer::optimizer_bytes() const {
  std::int64_t bytes = store_.master_bytes();
  for (const GroupState& state : states_) {
    for (const Tensor& t : {state.first, state.second}) {
      if (t.defined()) bytes += t.count() * static_cast<std::int64_t>(size_of(t.dtype()));
    }
  }
  return bytes;
}

}  // namespace convoy::nn
