// SPDX-License-Identifier: MIT
#include "nn/ema.h"

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "kernels/optimizer.h"
#include "nn/pieces.h"
#include "runtime/autograd.h"
#include "runtime/run.h"
#include "runtime/step_state.h"

namespace convoy::nn {
namespace {

// to = from in to's dtype; from may be in host memory.
void write(Tensor to, const Tensor& from) {
  if (from.dtype() == to.dtype()) return to.copy_(from);
  const Tensor near = from.to(to.device());
  run(Cast{near.count(), near.data(), near.dtype(), to.data(), to.dtype()}, to.stream());
  to.bump_version();
}

std::int64_t bytes_of(const Tensor& t) {
  return t.defined() ? t.count() * static_cast<std::int64_t>(size_of(t.dtype())) : 0;
}

}  // namespace

double ema_decay_after(std::int64_t steps, const EmaOptions& options) {
  if (steps == 0) return 0;
  if (!options.warmup) return options.decay;
  return std::min(options.decay, 1 - std::pow(1 + static_cast<double>(steps), -2.0 / 3));
}

Ema::Ema(ParameterStore& store, const EmaOptions& options) : store_(store), options_(options) {
  require(options.decay >= 0 && options.decay < 1,
          "ema: the decay expects 0 or more and below 1, "
          "found {}",
          options.decay);
  for (std::size_t g = 0; g < store.groups().size(); ++g) averages_.push_back(store.state_like(g));
  const Tensor& buffers = store.buffers().values;
  if (buffers.defined()) buffers_ = empty(buffers.shape(), buffers.like());
  restart();
}

void Ema::restart() {
  const NoGrad inference;
  for (std::size_t g = 0; g < averages_.size(); ++g) {
    const ParameterGroup& group = store_.groups()[g];
    const bool sharded_values = store_.is_sharded() && !store_.has_masters(group);
    averages_[g].copy_(sharded_values ? take_own(store_.shards()->own(g), group.values)
                                      : group.masters);
  }
  if (buffers_.defined()) buffers_.copy_(store_.buffers().values);
}

void Ema::begin_step() {
  StepState& host = step_state(store_.groups().front().values.device()).host();
  host.ema_decay = static_cast<float>(ema_decay_after(host.step, options_));
}

void Ema::step() {
  const Device device = store_.groups().front().values.device();
  const StepState* const state = step_state(device).device_pointer();
  const Stream stream = current_stream(device);
  for (std::size_t g = 0; g < averages_.size(); ++g) {
    for (const PlacedRange& range : stepped_ranges(store_, g)) {
      run(EmaStep{range.count, element_at(averages_[g], range.position),
                  stepped_weights(store_, g, range.begin, range.position), state,
                  averages_[g].dtype()},
          stream);
    }
    averages_[g].bump_version();
  }
  if (!buffers_.defined()) return;
  const Tensor& buffers = store_.buffers().values;
  run(EmaStep{buffers.count(), buffers_.data(), buffers.data(), state, buffers.dtype()}, stream);
  buffers_.bump_version();
}

void Ema::with_averages(const std::function<void()>& body) {
  const NoGrad inference;
  std::vector<Tensor> places, kept;
  for (const ParameterGroup& group : store_.groups()) places.push_back(group.values);
  if (buffers_.defined()) places.push_back(store_.buffers().values);
  for (const Tensor& place : places) kept.push_back(place.clone());
  const auto put_back = [&] {
    for (std::size_t i = 0; i < places.size(); ++i) places[i].copy_(kept[i]);
  };
  for (std::size_t g = 0; g < averages_.size(); ++g) {
    write(places[g], store_.whole(g, averages_[g]));
  }
  if (buffers_.defined()) write(places.back(), buffers_);
  try {
    body();
  } catch (...) {
    put_back();
    throw;
  }
  put_back();
}

void Ema::share_statistics(RankExchange& ranks, RunningStatistics which) {
  if (buffers_.defined()) buffers_.copy_(agreed_statistics(buffers_, ranks, which));
}

std::vector<NamedTensor> Ema::weights(const Module& model) const {
  std::vector<Tensor> whole;
  for (std::size_t g = 0; g < averages_.size(); ++g) {
    whole.push_back(store_.whole(g, averages_[g]));
  }
  return store_.named(model, whole, buffers_);
}

void Ema::load(const Module& model, const ParameterStore::Fill& fill) {
  std::vector<Tensor> whole;
  for (std::size_t g = 0; g < averages_.size(); ++g) {
    whole.push_back(store_.place_for_whole(g, averages_[g]));
  }
  fill(store_.named(model, whole, buffers_));
  for (std::size_t g = 0; g < averages_.size(); ++g) store_.take(g, whole[g], averages_[g]);
}

std::int64_t Ema::bytes() const {
  std::int64_t bytes = bytes_of(buffers_);
  for (const Tensor& t : averages_) bytes += bytes_of(t);
  return bytes;
}

}  // namespace convoy::nn
