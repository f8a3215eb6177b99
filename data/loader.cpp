// SPDX-License-Identifier: MIT
#include "data/loader.h"

#include <algorithm>
#include <utility>

#include "kernels/require.h"

namespace convoy::data {

Loader::Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
    : plan_(std::make_shared<LoadingPlan>(std::move(dataset), options)) {}

void Loader::start(std::int64_t epoch, std::int64_t position) {
  const std::int64_t batch = plan_->options.batch_size;
  require(epoch >= 0 && position >= 0 && position % batch == 0,
          "loader: position expects a multiple of the batch size {}, found {} of epoch {}", batch,
          position, epoch);
  if (!follows(epoch, position)) stop();
  epoch_ = epoch;
  position_ = position;
}

// Whether the workers are at that batch, or on their way to it.
bool Loader::follows(std::int64_t epoch, std::int64_t position) const {
  if (epoch == epoch_ && position == position_) return true;
  const bool at_end = position_ >= samples_per_epoch();
  return plan_->options.training && at_end && epoch == epoch_ + 1 && position == 0;
}

void Loader::stop() {
  if (prefetch_) stats_ += prefetch_->stats();
  prefetch_.reset();
}

LoaderStats Loader::stats() const {
  LoaderStats stats = stats_;
  if (prefetch_) stats += prefetch_->stats();
  return stats;
}

const Batch* Loader::next() {
  if (position_ >= samples_per_epoch()) return nullptr;
  if (!prefetch_) prefetch_ = std::make_unique<Prefetch>(plan_, epoch_, position_);
  PrefetchedBatch& slot = prefetch_->next();
  for (const std::exception_ptr& error : slot.errors) {
    if (!error) continue;
    const std::exception_ptr thrown = error;
    stop();
    std::rethrow_exception(thrown);
  }
  for (Skipped& row : slot.skipped) {
    skipped_.insert(row.begin(), row.end());
    row.clear();
  }
  Batch& batch = slot.memory.batch();
  batch.epoch = epoch_;
  batch.position = position_;
  batch.valid = batch.rows - std::ranges::count(batch.labels, kNoLabel);
  position_ += plan_->options.batch_size;
  return &batch;
}

}  // namespace convoy::data
