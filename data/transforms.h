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

#include <array>
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
inline constexpr std::uint32_t kJitterStream = 0xDA7A0004;
inline constexpr std::uint32_t kRandAugmentStream = 0xDA7A0005;
inline constexpr std::uint32_t kErasingStream = 0xDA7A0006;
inline constexpr std::uint32_t kFlipStream = 0xDA7A0007;

// Brightness, contrast and saturation are changed by factors from 1 - these to 1 + these (from 0
// where that is less), the hue by up to this part of the circle, in random order: torchvision's
// ColorJitter.
struct ColourJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  bool any() const { return brightness > 0 || contrast > 0 || saturation > 0 || hue > 0; }
};
// torchvision's RandAugment: so many of 14 operations, drawn for each sample.
inline constexpr int kMostMagnitude = 30, kMostOps = 16;
struct RandAugment {
  int ops = 0;
  int magnitude = 9;
};
// torchvision's RandomErasing: a part of random area and proportions.
struct RandomErasing {
  double probability = 0;
  double scale_min = 0.02, scale_max = 0.33;  // of the row's area
  double ratio_min = 0.3, ratio_max = 3.3;    // height / width
};

// Of a training sample; the defaults change nothing.
struct Augmentation {
  int padding = 0;                      // shift by up to this many pixels, zeros move in
  double hflip = 0;                     // probability of a mirror image
  double scale_min = 1, scale_max = 1;  // area of the random crop, as a part of the picture
  double ratio_min = 1, ratio_max = 1;  // its width / height
  bool random_window = false;           // a window of the row's size instead, not scaled
  // Each sample is seen mirrored and not in turns, from a first time that is drawn.
  bool alternate_flip = false;
  ColourJitter jitter = {};
  RandAugment rand_augment = {};
  RandomErasing erasing = {};
  int cutout = 0;                          // side of a square that is blanked, where it lies
  std::array<std::uint8_t, 3> blank = {};  // what erasing and cutout leave

  bool crops() const {
    return random_window || scale_min != 1 || scale_max != 1 || ratio_min != 1 || ratio_max != 1;
  }
  bool changes_pixels() const {
    return jitter.any() || rand_augment.ops > 0 || erasing.probability > 0 || cutout > 0;
  }
};
// Throws Error of kind usage: probabilities in [0, 1], 0 < min <= max, scales at most 1, a hue of
// at most 0.5, magnitudes and numbers of operations within what there is.
void check(const Augmentation& augmentation);

// Names the random numbers of one sample in one epoch.
struct SampleDraw {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0, index = 0;
};
// Four random words; a sample has kBlocksPerSample such blocks in each stream.
inline constexpr std::uint64_t kBlocksPerSample = 16;
PhiloxWords random_words(std::uint32_t stream, const SampleDraw& draw, std::uint64_t block);
std::int64_t below(std::uint32_t word, std::int64_t bound);  // in [0, bound)
double between(std::uint32_t word, double low, double high);

// How the device is to move and mirror the sample: ImageRow of kernels/image.h.
ImageRow draw_row(const Augmentation& augmentation, const SampleDraw& draw);

// The whole picture, scaled to the row whatever its proportions.
Framing plain_resize(const ImageExtent& image, const ImageExtent& row);
// Shorter side to row / crop_pct, then the middle: what evaluation does (torchvision's Resize and
// CenterCrop; timm's crop_pct).
Framing centre_crop(const ImageExtent& image, const ImageExtent& row, double crop_pct);
// The row's size at a random place (torchvision's RandomCrop). A picture that is smaller is scaled
// up until it covers the row.
Framing random_window(const ImageExtent& image, const ImageExtent& row, const SampleDraw& draw);
// A random part of random area and proportions (torchvision's RandomResizedCrop: ten tries, then
// the largest part in the middle that the proportions allow).
Framing random_resized_crop(const ImageExtent& image, const ImageExtent& row,
                            const Augmentation& augmentation, const SampleDraw& draw);

}  // namespace convoy::data
