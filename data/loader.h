// SPDX-License-Identifier: MIT
#pragma once
// Batches of a data set in a fixed order: the same seed gives the same bits, whatever the number of
// threads. Pictures travel as u8; what the device shall do to each row goes with them.
//
//   Loader loader(dataset, {.batch_size = 128, .training = true, .seed = 1});
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
  int threads = 1;  // that decode; data sets in memory do not need them
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

  std::int64_t batches_per_epoch() const { return sampler_.batches_per_epoch(); }
  std::int64_t samples_per_epoch() const { return sampler_.samples_per_epoch(); }
  const ImageExtent& row() const { return options_.row; }
  const Dataset& dataset() const { return *dataset_; }

  // The next batch will be the one at `position` of `epoch`, a multiple of the batch size.
  void start(std::int64_t epoch, std::int64_t position = 0);
  // Null at the end of the epoch. The batch belongs to the loader and holds until the next call.
  // Throws what reading the lowest bad row threw: Error of kind data that names the file.
  const Batch* next();

  // Samples that have been skipped so far, by index, and why.
  const std::map<std::int64_t, std::string>& skipped() const { return skipped_; }

 private:
  using Skipped = std::vector<std::pair<std::int64_t, std::string>>;

  void fill(std::int64_t r);
  void clear(std::size_t r);
  Sample read(std::int64_t& index, Skipped& skipped) const;

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  Sampler sampler_;
  std::vector<std::int64_t> order_;
  std::int64_t epoch_ = 0, position_ = 0;
  Batch batch_;
  std::vector<Skipped> skipped_in_row_;  // each row's own, so that threads share nothing
  std::map<std::int64_t, std::string> skipped_;
};

}  // namespace convoy::data
