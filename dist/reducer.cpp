// SPDX-License-Identifier: MIT
#include "dist/reducer.h"

#include "runtime/autograd.h"

namespace convoy::dist {

Reducer::Reducer(const nn::Module& model, nn::ParameterStore& store, Communicator& communicator,
                 const ReducerOptions& options)
    : store_(store),
      communicator_(communicator),
      own_parts_only_(options.own_parts_only),
      buckets_(make_buckets(model, store, communicator.world_size(), options.buckets)),
      members_(buckets_.size()) {
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    for (const nn::NamedSlice& slice : store.groups()[buckets_[b].group].slices) {
      if (!overlap(buckets_[b].range, slice)) continue;
      buckets_of_[slice.parameter.impl().get()].push_back(b);
      ++members_[b];
    }
  }
  missing_ = members_;
}

void Reducer::backward(const std::function<void()>& run) {
  missing_ = members_;
  started_.clear();
  const OnGradient on([this](const TensorImpl& parameter) { complete(parameter); });
  run();
}

void Reducer::complete(const TensorImpl& parameter) {
  const auto at = buckets_of_.find(&parameter);
  if (at == buckets_of_.end()) return;
  for (const std::size_t bucket : at->second) {
    require(--missing_[bucket] >= 0, "reducer: a gradient was completed twice in one backward()");
  }
  start_complete();
}

void Reducer::start_complete() {
  while (started_.size() < buckets_.size() && missing_[started_.size()] == 0) {
    started_.push_back(start(buckets_[started_.size()]));
  }
}

Work Reducer::start(const Bucket& bucket) {
  const Tensor& flat = store_.groups()[bucket.group].gradients;
  const Tensor all = view(flat, bucket.range);
  if (!own_parts_only_) return communicator_.all_reduce(all, all, bucket.parts);
  const Tensor own = view(flat, bucket.part(communicator_.rank()));
  return communicator_.reduce_scatter(all, own, bucket.parts);
}

void Reducer::finish() {
  store_.finish_gradients();
  std::fill(missing_.begin(), missing_.end(), 0);
  start_complete();
  for (Work& work : started_) work.wait();
  started_.clear();
}

}  // namespace convoy::dist
