// SPDX-License-Identifier: MIT
#include "nn/optimizer.h"

#include <algorithm>

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

Tensor slice_table(const ParameterGroup& group) {
  std::vector<ParameterSlice> table;
  for (const NamedSlice& slice : group.slices) table.push_back({slice.offset, slice.count});
  const auto bytes = static_cast<std::int64_t>(table.size() * sizeof(ParameterSlice));
  return from_host(table.data(), {bytes}, {DType::u8, group.values.device()});
}

// The model's weights, where those are not the masters themselves.
HalfCopy half_copy(const ParameterGroup& group) {
  if (group.values.impl() == group.masters.impl()) return {};
  return {group.values.data(), group.values.dtype()};
}

void* data_or_null(const Tensor& tensor) { return tensor.defined() ? tensor.data() : nullptr; }

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
  for (std::size_t g = 0; g < store.groups().size(); ++g) {
    GroupState state;
    if (names[0]) state.first = store.state_like(g);
    if (names[1]) state.second = store.state_like(g);
    state.slices = slice_table(store.groups()[g]);
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
  std::int32_t first_parameter = 0;
  for (std::size_t g = 0; g < states_.size(); ++g) {
    const ParameterGroup& group = store_.groups()[g];
    const auto slices = static_cast<std::int64_t>(group.slices.size());
    run(CheckFinite{group.gradients.count(), group.gradients.data(), step_state().device_pointer(),
                    group.gradients.dtype(),
                    static_cast<const ParameterSlice*>(states_[g].slices.data()), slices,
                    first_parameter},
        stream());
    first_parameter += static_cast<std::int32_t>(slices);
  }
}

void Optimizer::step(const LossScaling& scaling) {
  store_.finish_gradients();
  for (std::size_t g = 0; g < states_.size(); ++g) step_group(g);
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

void Optimizer::step_group(std::size_t index) {
  const ParameterGroup& group = store_.groups()[index];
  const GroupState& own = states_[index];
  const OptimizerOptions& o = options_;
  const std::int64_t count = group.values.count();
  const int id = static_cast<int>(index);
  const double decay = group.weight_decay ? o.weight_decay : 0;
  void* const p = group.masters.data();
  const void* const g = group.gradients.data();
  void* const first = data_or_null(own.first);
  void* const second = data_or_null(own.second);
  const StepState* const state = step_state().device_pointer();
  const DType dtype = group.masters.dtype();
  const HalfCopy half = half_copy(group);
  const Stream stream = group.values.stream();
  switch (o.kind) {
    case OptimizerKind::sgd:
      run(SgdStep{count, p, g, first, state, id, dtype, {o.momentum, decay, o.nesterov}, half},
          stream);
      break;
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      run(AdamWStep{count,
                    p,
                    g,
                    first,
                    second,
                    state,
                    id,
                    dtype,
                    {o.betas[0], o.betas[1], o.eps, decay, o.kind == OptimizerKind::adamw},
                    half},
          stream);
      break;
    case OptimizerKind::rmsprop:
      run(RmspropStep{count,
                      p,
                      g,
                      first,
                      second,
                      nullptr,
                      state,
                      id,
                      dtype,
                      {o.alpha, o.eps, decay, o.momentum},
                      half},
          stream);
      break;
    case OptimizerKind::lars:
      run(LarsStep{static_cast<const ParameterSlice*>(own.slices.data()),
                   static_cast<std::int64_t>(group.slices.size()),
                   p,
                   g,
                   first,
                   state,
                   id,
                   dtype,
                   {o.momentum, decay, o.trust_coefficient, o.eps, o.nesterov},
                   half},
          stream);
      break;
  }
  group.values.bump_version();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> out;
  const auto names = state_names(options_);
  for (std::size_t g = 0; g < states_.size(); ++g) {
    const std::array<const Tensor*, 2> flat{&states_[g].first, &states_[g].second};
    for (std::size_t i = 0; i < flat.size(); ++i) {
      if (!flat[i]->defined()) continue;
      for (const NamedSlice& slice : store_.groups()[g].slices) {
        out.push_back(
            {fmt::format("{}.{}", names[i], slice.name), ParameterStore::view(*flat[i], slice)});
      }
    }
  }
  return out;
}

void clip_grad_norm(ParameterStore& store, double max_norm) {
  require(max_norm > 0, "clip_grad_norm: expects a norm above 0, found {}", max_norm);
  store.finish_gradients();
  const Device device = store.groups().front().values.device();
  const Stream stream = current_stream(device);
  const Tensor squared = zeros({1}, {DType::f64, device});
  for (const ParameterGroup& group : store.groups()) {
    run(SquaredNorm{group.gradients.count(), group.gradients.data(), squared.as<double>(),
                    group.gradients.dtype(), true},
        stream);
  }
  run(ClipFactor{squared.as<double>(), max_norm, step_state(device).device_pointer()}, stream);
}

}  // namespace convoy::nn
