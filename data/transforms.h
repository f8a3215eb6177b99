// SPDX-License-Identifier: MIT
#pragma once
// What is decided about a sample on the host: which part of the picture is kept, by how much it is
// shifted, whether it is mirrored. Every decision is drawn from Philox keyed by (seed, epoch,
// sample index), so it is the same whoever decodes the sample and when. Shift, mirror and
// normalisation are carried out on the device; cutting and scaling, which need the full picture,
// here.
//
//   const Framing framing = random_resized_crop(image.extent, {224, 224, 3}, augmentation, draw);
//   resize_bilinear(image, framing, 224, 224, row);

#include <cstdint>

#include "data/image.h"
#include "data/resize.h"
#include "kernels/image.h"
#include "kernels/random.h"

namespace convoy::data {

// The random streams of this folder.
inline constexpr std::uint32_t kShuffleStream = 0xDA7A0001;
inline constexpr std::uint32_t kAugmentStream = 0xDA7A0002;
inline constexpr std::uint32_t kSynthStream = 0xDA7A0003;

// Of a training sample; the defaults change nothing.
struct Augmentation {
  int padding = 0;                      // shift by up to this many pixels, zeros move in
  double hflip = 0;                     // probability of a mirror image
  double scale_min = 1, scale_max = 1;  // area of the random crop, as a part of the picture
  double ratio_min = 1, ratio_max = 1;  // its width / height
  bool crops() const {
    return scale_min != 1 || scale_max != 1 || ratio_min != 1 || ratio_max != 1;
  }
};
// Throws Error of kind usage: probabilities in [0, 1], 0 < min <= max, scales at most 1.
void check(const Augmentation& augmentation);

// Names the random numbers of one sample in one epoch.
struct SampleDraw {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0, index = 0;
};

// How the device is to move and mirror the sample: ImageRow of kernels/image.h.
ImageRow draw_row(const Augmentation& augmentation, const SampleDraw& draw);

// The whole picture, scaled to the row whatever its proportions.
Framing plain_resize(const ImageExtent& image, const ImageExtent& row);
// Shorter side to row / crop_pct, then the middle: what evaluation does (torchvision's Resize and
// CenterCrop; timm's crop_pct).
Framing centre_crop(const ImageExtent& image, const ImageExtent& row, double crop_pct);
// A random part of random area and proportions (torchvision's RandomResizedCrop: ten tries, then
// the largest part in the middle that the proportions allow).
Framing random_resized_crop(const ImageExtent& image, const ImageExtent& row,
                            const Augmentation& augmentation, const SampleDraw& draw);

}  // namespace convoy::data
