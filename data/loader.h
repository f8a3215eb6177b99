// SPDX-License-Identifier: MIT
#pragma once
// Batches of a data set in a fixed order: the same seed gives the same bits, whatever the number of
// workers. They fill batches ahead of the one that is being used, in training past the end of the
// epoch. Pictures travel as u8; what the device shall do to each row goes with them.
//
//   Loader loader(dataset, {.batch_size = 128, .training = true, .seed = 1, .workers = 4});
//   loader.start(epoch);
//   while (const Batch* batch = loader.next()) {   // valid until the next call,
//     copy(x, batch->images, stream);
//     batch->read_by(stream);                      // or longer, until the stream has passed
//   }
//
// Batches are cut from the epoch for all ranks together, and each rank gets its rows of each: so W
// ranks see what one would, and a position means the same on any number of them.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "data/batch.h"
#include "data/loader_options.h"
#include "data/prefetch.h"

namespace convoy::data {

class Loader {
 public:
  // Throws Error of kind usage as LoadingPlan does.
  Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options);

  std::int64_t batches_per_epoch() const { return plan_->sampler.batches_per_epoch(); }
  std::int64_t samples_per_epoch() const { return plan_->sampler.samples_per_epoch(); }
  const ImageExtent& row() const { return plan_->options.row; }
  const Dataset& dataset() const { return *plan_->dataset; }

  // The next batch will be the one at `position` of `epoch`, a multiple of the batch size. Where
  // the workers have gone on to it already, they are not interrupted.
  void start(std::int64_t epoch, std::int64_t position = 0);
  // Null at the end of the epoch. Throws what reading the lowest bad row threw, each time that it
  // is asked: Error of kind data that names the file; and Error of kind data when a worker does not
  // come back from a sample.
  const Batch* next();

  // Samples that have been skipped so far, by index, and why.
  const std::map<std::int64_t, std::string>& skipped() const { return skipped_; }
  LoaderStats stats() const;

 private:
  void stop();
  bool follows(std::int64_t epoch, std::int64_t position) const;

  std::shared_ptr<const LoadingPlan> plan_;
  std::int64_t epoch_ = 0, position_ = 0;  // of the next batch
  std::map<std::int64_t, std::string> skipped_;
  LoaderStats stats_;  // of workers that have ended
  std::unique_ptr<Prefetch> prefetch_;
};

}  // namespace convoy::data
