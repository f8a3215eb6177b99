// SPDX-License-Identifier: MIT
#pragma once
// In which order an epoch visits the samples, and how it is cut into batches. Global batch g of an
// epoch is positions [g B, (g + 1) B) of it; the order is fixed by (seed, epoch) alone.
//
//   Sampler sampler({.size = 50000, .batch_size = 128, .shuffle = true, .drop_last = true});
//   const std::int64_t index = sampler.at(epoch, position);    // of a sample

#include <cstdint>

#include "data/permutation.h"
#include "data/shuffle_window.h"
#include "kernels/require.h"

namespace convoy::data {

struct SamplerOptions {
  std::int64_t size = 0;  // samples in the data set
  std::int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;  // leave out an incomplete last batch, as training does
  std::uint64_t seed = 0;
  std::int64_t window = 0;  // shuffled within (data/shuffle_window.h); 0: over the whole set
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options) {
    require(options.batch_size >= 1, "sampler: batch size expects 1 or more, found {}",
            options.batch_size);
    require(options.size >= 0 && options.size <= UINT32_MAX,
            "sampler: data set expects up to 2^32 samples, found {}", options.size);
    require(options.window >= 0, "sampler: window expects 0 or more, found {}", options.window);
  }

  // How many samples an epoch visits: all of them, or whole batches only.
  std::int64_t samples_per_epoch() const {
    return options_.drop_last ? options_.size / options_.batch_size * options_.batch_size
                              : options_.size;
  }
  std::int64_t batches_per_epoch() const {
    return (samples_per_epoch() + options_.batch_size - 1) / options_.batch_size;
  }

  // The sample at a place of an epoch.
  std::int64_t at(std::int64_t epoch, std::int64_t position) const {
    const auto& [size, batch_size, shuffle, drop_last, seed, window] = options_;
    if (!shuffle) return position;
    if (window > 0) return WindowedShuffle(size, window, seed, epoch)(position);
    return Permutation(size, seed, epoch)(position);
  }

 private:
  SamplerOptions options_;
};

}  // namespace convoy::data
