// SPDX-License-Identifier: MIT
#pragma once
// Batches of a data set in a fixed order: the same seed gives the same bits, whatever the number of
// workers. They fill batches ahead of the one that is being used (data/prefetch_ring.h), in
// training past the end of the epoch. Pictures travel as u8; what the device shall do to each row
// goes with them.
//
//   Loader loader(dataset, {.batch_size = 128, .training = true, .seed = 1, .workers = 4});
//   loader.start(epoch);
//   while (const Batch* batch = loader.next()) { ... }     // valid until the next call

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/sampler.h"
#include "data/transforms.h"

namespace convoy::data {

// The label of rows that fill up an incomplete batch: cross_entropy's default ignore_index.
inline constexpr std::int32_t kNoLabel = -100;

// What happens when a sample cannot be read: the run ends with its error; or, in training, the next
// sample that can be read takes its place, and in evaluation its row stays empty.
enum class BadSamples : std::uint8_t { error, skip };

struct LoaderOptions {
  std::int64_t batch_size = 1;
  ImageExtent row = {};   // of every image in a batch; zero takes the data set's own extent
  bool training = false;  // shuffled, augmented, whole batches only
  Augmentation augmentation = {};  // used when training
  double crop_pct = 1;             // used when not: the part of the shorter side that is seen
  std::uint64_t seed = 0;
  BadSamples bad_samples = BadSamples::error;
  int workers = 0;  // threads that read samples; 0: next() does
  int depth = 2;    // batches in memory, of which one is being used
};

// Since the loader was made. Workers that wait for the consumer cost nothing; a consumer that waits
// for workers is what prefetching is there to avoid.
struct LoaderStats {
  std::int64_t batches = 0;
  double starved_s = 0;  // that next() waited
  double blocked_s = 0;  // that workers waited for a free slot, all of them together
};

struct Batch {
  std::int64_t rows = 0;   // always batch_size
  std::int64_t valid = 0;  // rows with a sample; the others are zero and have kNoLabel
  ImageExtent extent;
  std::vector<std::uint8_t> images;   // [rows, height, width, channels]
  std::vector<std::int32_t> labels;   // [rows], kNoLabel where there is no sample
  std::vector<ImageRow> row;          // [rows], what the device does to each image
  std::vector<std::int64_t> indices;  // [rows], in the data set; -1 where there is none
  std::int64_t epoch = 0;
  std::int64_t position = 0;  // of the first row in the epoch
};

class Loader {
 public:
  // Throws Error of kind usage: images of differing sizes and no row extent, other channels than
  // the data set's, a training set smaller than one batch, or an augmentation out of range.
  Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options);
  ~Loader();

  std::int64_t batches_per_epoch() const { return sampler_.batches_per_epoch(); }
  std::int64_t samples_per_epoch() const { return sampler_.samples_per_epoch(); }
  const ImageExtent& row() const { return options_.row; }
  const Dataset& dataset() const { return *dataset_; }

  // The next batch will be the one at `position` of `epoch`, a multiple of the batch size. Where
  // the workers have gone on to it already, they are not interrupted.
  void start(std::int64_t epoch, std::int64_t position = 0);
  // Null at the end of the epoch. The batch belongs to the loader and holds until the next call.
  // Throws what reading the lowest bad row threw, each time that it is asked: Error of kind data
  // that names the file.
  const Batch* next();

  // Samples that have been skipped so far, by index, and why.
  const std::map<std::int64_t, std::string>& skipped() const { return skipped_; }
  LoaderStats stats() const;

 private:
  using Skipped = std::vector<std::pair<std::int64_t, std::string>>;
  struct Slot;
  class Prefetch;

  void stop();
  void fill(Slot& slot, int r, std::int64_t epoch, std::int64_t position) const;
  void clear(Batch& batch, std::size_t r) const;
  Sample read(std::int64_t& index, Skipped& skipped) const;
  bool follows(std::int64_t epoch, std::int64_t position) const;

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  Sampler sampler_;
  std::int64_t epoch_ = 0, position_ = 0;  // of the next batch
  std::map<std::int64_t, std::string> skipped_;
  LoaderStats stats_;  // of workers that have ended
  std::unique_ptr<Prefetch> prefetch_;
};

}  // namespace convoy::data
