// SPDX-License-Identifier: MIT
#pragma once
// What is done for one row of a batch: its sample is read, or the one that takes its place; framed
// into the row; and what the device shall do to it is drawn. A row depends on its place in the
// epoch alone, so rows are filled in any order.

#include <string>
#include <utility>
#include <vector>

#include "data/augment.h"
#include "data/batch.h"
#include "data/loader_options.h"
#include "data/sample_decoder.h"
#include "data/worker_watch.h"

namespace convoy::data {

// Samples that could not be read, and why.
using Skipped = std::vector<std::pair<std::int64_t, std::string>>;

// One per worker. Once its memory has grown, a sample costs no allocation.
class RowFiller {
 public:
  RowFiller(const LoadingPlan& plan, WorkerWatch& watch)
      : plan_(plan),
        watch_(watch),
        decoder_(plan.dataset->limits()),
        augmenter_(plan.options.augmentation) {}

  // Row r of this rank's part of the batch at `position` of `epoch`. Throws Error as reading does.
  void fill(const Batch& batch, int r, std::int64_t epoch, std::int64_t position, Skipped& skipped);

 private:
  void put(const Batch& batch, std::size_t r, const SampleDraw& draw);
  void put_image(std::span<std::uint8_t> out, const SampleDraw& draw);

  const LoadingPlan& plan_;
  WorkerWatch& watch_;
  SampleDecoder decoder_;
  Augmenter augmenter_;
  std::vector<std::uint8_t> stored_;
  std::string name_;
};

}  // namespace convoy::data
