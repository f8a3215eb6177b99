// SPDX-License-Identifier: MIT
#pragma once
// In which order an epoch visits the samples, and how it is cut into batches. Global batch g of an
// epoch is positions [g B, (g + 1) B) of it; the order is fixed by (seed, epoch) alone.
//
//   Sampler sampler({.size = 50000, .batch_size = 128, .shuffle = true, .drop_last = true, .seed =
//   1}); auto order = sampler.order(epoch);    // order[position] is a sample index

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "data/transforms.h"
#include "kernels/random.h"
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

  // A permutation of all samples: Fisher and Yates' shuffle on Philox numbers keyed by seed and
  // epoch. Without shuffling, the data set's own order.
  std::vector<std::int64_t> order(std::int64_t epoch) const {
    std::vector<std::int64_t> order(static_cast<std::size_t>(options_.size));
    std::iota(order.begin(), order.end(), 0);
    if (!options_.shuffle) return order;
    const PhiloxKey key{options_.seed, kShuffleStream};
    for (std::size_t i = order.size(); i > 1; --i) {
      const std::uint32_t j = philox_below(key, static_cast<std::uint64_t>(epoch), i - 1,
                                           static_cast<std::uint32_t>(i));
      std::swap(order[i - 1], order[j]);
    }
    return order;
  }

 private:
  SamplerOptions options_;
};

}  // namespace convoy::data
