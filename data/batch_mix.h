// SPDX-License-Identifier: MIT
#pragma once
// Mixup (Zhang et al., 2018) and cutmix (Yun et al., 2019): rows 2 i and 2 i + 1 of a batch are
// each other's partners, all rows are mixed in the same way, and so are their labels. Neighbours,
// where timm pairs the first with the last: ranks of an even number of rows then mix as one rank
// would.
//
//   const BatchMix mix = draw_mix({.mixup = 0.2, .cutmix = 1}, extent, {seed, epoch, position});
//   x += weight * (partner - x)      // weight: mix.share, for cutmix 1 in the box and 0 elsewhere
//   loss += mix.share * (loss_of_partners_labels - loss)

#include <algorithm>
#include <cstdint>
#include <span>

#include "data/transforms.h"

namespace convoy::data {

struct MixOptions {
  double mixup = 0, cutmix = 0;     // shares are drawn from Beta(a, a); 0: not used
  double probability = 1;           // that a batch is mixed at all
  double switch_probability = 0.5;  // that it is by cutmix, where both are used
  bool any() const { return (mixup > 0 || cutmix > 0) && probability > 0; }
};
// Throws Error of kind usage: 0 or more, probabilities from 0 to 1.
void check(const MixOptions& options);

struct BatchMix {
  double share = 0;  // of the partner in the label; 0: nothing is mixed
  bool cut = false;  // the partner's pixels are those of the box; else `share` of each
  Box box = {};      // may be empty
};

// `draw.index` is the position of the batch.
BatchMix draw_mix(const MixOptions& options, const ImageExtent& extent, const SampleDraw& draw);

// The row that `row` is mixed with, of `valid` ones with a sample: the last of an odd number has
// none but itself, as rows without a sample.
inline std::int64_t partner_of(std::int64_t row, std::int64_t valid) {
  return row < valid ? std::min(row ^ 1, valid - 1) : row;
}

// The partner's weight in each pixel, [height, width].
void fill_weights(const BatchMix& mix, const ImageExtent& extent, std::span<float> weights);

}  // namespace convoy::data
