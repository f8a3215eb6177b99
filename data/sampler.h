// SPDX-License-Identifier: MIT
#pragma once
// In which order an epoch visits the samples, and how it is cut into batches. Global batch g of an
// epoch is positions [g B, (g + 1) B) of it; the order is fixed by (seed, epoch) alone.
//
//   Sampler sampler({.size = 50000, .batch_size = 128, .shuffle = true, .drop_last = true});
//   const Permutation order = sampler.order(epoch);
//   const std::int64_t index = order(position);    // of a sample

#include <cstdint>

#include "data/permutation.h"
#include "kernels/require.h"

namespace convoy::data {

struct SamplerOptions {
  std::int64_t size = 0;  // samples in the data set
  std::int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;  // leave out an incomplete last batch, as training does
  std::uint64_t seed = 0;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options) {
    require(options.batch_size >= 1, "sampler: batch size expects 1 or more, found {}",
            options.batch_size);
    require(options.size >= 0 && options.size <= UINT32_MAX,
            "sampler: data set expects up to 2^32 samples, found {}", options.size);
  }

  // How many samples an epoch visits: all of them, or whole batches only.
  std::int64_t samples_per_epoch() const {
    return options_.drop_last ? options_.size / options_.batch_size * options_.batch_size
                              : options_.size;
  }
  std::int64_t batches_per_epoch() const {
    return (samples_per_epoch() + options_.batch_size - 1) / options_.batch_size;
  }

  // The sample at each place of an epoch.
  Permutation order(std::int64_t epoch) const {
    return options_.shuffle ? Permutation(options_.size, options_.seed, epoch)
                            : Permutation(options_.size);
  }

 private:
  SamplerOptions options_;
};

}  // namespace convoy::data
