// SPDX-License-Identifier: MIT
#pragma once
// What a loader is told, and the order of samples that follows from it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/sampler.h"
#include "data/transforms.h"
#include "kernels/base.h"

namespace convoy::data {

// What happens when a sample cannot be read: the run ends with its error; or, in training, the next
// sample that can be read takes its place, and in evaluation its row stays empty.
enum class BadSamples : std::uint8_t { error, skip };

struct LoaderOptions {
  std::int64_t batch_size = 1;  // of all ranks together
  ImageExtent row = {};         // of every image in a batch; zero takes the data set's own extent
  bool training = false;        // shuffled, augmented, whole batches only
  Augmentation augmentation = {};  // used when training
  double crop_pct = 1;             // used when not: the part of the shorter side that is seen
  std::uint64_t seed = 0;
  std::int64_t shuffle_window = 0;  // samples (data/shuffle_window.h); 0: the whole data set
  BadSamples bad_samples = BadSamples::error;
  int rank = 0, world = 1;  // this one's rows of each batch: [rank B / world, (rank + 1) B / world)
  int workers = 0;          // threads that read samples; 0: next() does
  int depth = 2;            // batches in memory, of which one is being used
  bool pixels = true;       // false: the device has the pictures, indices say which
  Device device = {};       // that the batches are copied to: its page-locked memory holds them
  double deadline_s = 0;    // for reading one sample, with workers; 0: none
  std::function<void(const std::string&)> on_stall = {};  // told at half the deadline
};

// The same for all workers, and theirs as long as one of them lives.
struct LoadingPlan {
  // Throws Error of kind usage: images of differing sizes and no row extent, other channels than
  // the data set's, a training set smaller than one batch, ranks without a row, or an augmentation
  // out of range.
  LoadingPlan(std::shared_ptr<const Dataset> data, const LoaderOptions& told);

  std::int64_t first_row() const { return options.rank * options.batch_size / options.world; }
  std::int64_t rows() const {  // of this rank
    return (options.rank + 1) * options.batch_size / options.world - first_row();
  }

  std::shared_ptr<const Dataset> dataset;
  LoaderOptions options;
  Sampler sampler;
};

}  // namespace convoy::data
