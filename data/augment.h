// SPDX-License-Identifier: MIT
#pragma once
// What happens to the pixels of a training sample after it has been framed: colour jitter,
// RandAugment, random erasing and cutout, in this order, as torchvision does each. What is drawn is
// keyed by (seed, epoch, index) as everything in data/transforms.h is. The device shifts and
// mirrors afterwards.
//
//   Augmenter augmenter(augmentation);      // one per worker, with memory that it keeps
//   augmenter.run({row, {224, 224, 3}}, {seed, epoch, index});

#include <cstdint>
#include <vector>

#include "data/pixel_ops.h"
#include "data/transforms.h"

namespace convoy::data {

// RandAugment's operations, in torchvision's order (Cubuk et al., arXiv:1909.13719).
enum class RandOp : std::uint8_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  colour,
  contrast,
  sharpness,
  posterize,
  solarize,
  autocontrast,
  equalize,
};
inline constexpr int kRandOps = 14;
// How strong an operation is at this magnitude, of 0 to kMostMagnitude: a shear, pixels, degrees, a
// part of 1 by which a factor leaves 1, bits or a level; 0 for those that have no strength. The
// first nine that have one are drawn with either sign.
double rand_strength(RandOp op, int magnitude, const ImageExtent& extent);
bool has_sign(RandOp op);
void apply(RandOp op, double strength, const ImageSpan& image, std::vector<std::uint8_t>& scratch);

class Augmenter {
 public:
  explicit Augmenter(const Augmentation& augmentation);
  void run(const ImageSpan& image, const SampleDraw& draw);

 private:
  void jitter(const ImageSpan& image, const SampleDraw& draw) const;
  void rand_augment(const ImageSpan& image, const SampleDraw& draw);
  void erase(const ImageSpan& image, const SampleDraw& draw) const;
  void cut_out(const ImageSpan& image, const SampleDraw& draw) const;

  Augmentation augmentation_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace convoy::data
