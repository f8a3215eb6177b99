// SPDX-License-Identifier: MIT
#include "data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr int kErasingTries = 10;
constexpr std::uint64_t kCutoutBlock = 15;  // behind the tries of random erasing

double factor(std::uint32_t word, double jitter) {
  return between(word, std::max(0.0, 1 - jitter), 1 + jitter);
}

}  // namespace

bool has_sign(RandOp op) { return op >= RandOp::shear_x && op <= RandOp::sharpness; }

double rand_strength(RandOp op, int magnitude, const ImageExtent& extent) {
  const double part = static_cast<double>(magnitude) / kMostMagnitude;
  switch (op) {
    case RandOp::shear_x:
    case RandOp::shear_y:
      return 0.3 * part;
    case RandOp::translate_x:
      return std::trunc(150.0 / 331 * static_cast<double>(extent.width) * part);
    case RandOp::translate_y:
      return std::trunc(150.0 / 331 * static_cast<double>(extent.height) * part);
    case RandOp::rotate:
      return 30 * part;
    case RandOp::brightness:
    case RandOp::colour:
    case RandOp::contrast:
    case RandOp::sharpness:
      return 0.9 * part;
    case RandOp::posterize:
      return 8 - std::nearbyint(4 * part);
    case RandOp::solarize:
      return 255 * (1 - part);
    default:
      return 0;
  }
}

void apply(RandOp op, double strength, const ImageSpan& image, std::vector<std::uint8_t>& scratch) {
  switch (op) {
    case RandOp::identity:
      return;
    case RandOp::shear_x:
      return warp(image, shear_x(strength), scratch);
    case RandOp::shear_y:
      return warp(image, shear_y(strength), scratch);
    case RandOp::translate_x:
      return warp(image, translate(strength, 0), scratch);
    case RandOp::translate_y:
      return warp(image, translate(0, strength), scratch);
    case RandOp::rotate:
      return warp(image, rotate(strength, image.extent), scratch);
    case RandOp::brightness:
      return adjust_brightness(image, 1 + strength);
    case RandOp::colour:
      return adjust_saturation(image, 1 + strength);
    case RandOp::contrast:
      return adjust_contrast(image, 1 + strength);
    case RandOp::sharpness:
      return adjust_sharpness(image, 1 + strength, scratch);
    case RandOp::posterize:
      return posterize(image, static_cast<int>(strength));
    case RandOp::solarize:
      return solarize(image, strength);
    case RandOp::autocontrast:
      return autocontrast(image);
    case RandOp::equalize:
      return equalize(image);
  }
}

Augmenter::Augmenter(const Augmentation& augmentation) : augmentation_(augmentation) {
  check(augmentation_);
}

void Augmenter::run(const ImageSpan& image, const SampleDraw& draw) {
  require(image.extent.channels == 1 || image.extent.channels == 3,
          "augment: expected 1 or 3 channels, found {}", image.extent);
  if (augmentation_.jitter.any()) jitter(image, draw);
  if (augmentation_.rand_augment.ops > 0) rand_augment(image, draw);
  if (augmentation_.erasing.probability > 0) erase(image, draw);
  if (augmentation_.cutout > 0) cut_out(image, draw);
}

void Augmenter::jitter(const ImageSpan& image, const SampleDraw& draw) const {
  const ColourJitter& j = augmentation_.jitter;
  const PhiloxWords strength = random_words(kJitterStream, draw, 0);
  const PhiloxWords order = random_words(kJitterStream, draw, 1);
  std::array<int, 4> steps = {0, 1, 2, 3};
  for (std::size_t i = 3; i > 0; --i) {
    std::swap(steps[i], steps[static_cast<std::size_t>(below(order[i], std::int64_t(i) + 1))]);
  }
  for (const int step : steps) {
    if (step == 0 && j.brightness > 0) {
      adjust_brightness(image, factor(strength[0], j.brightness));
    } else if (step == 1 && j.contrast > 0) {
      adjust_contrast(image, factor(strength[1], j.contrast));
    } else if (step == 2 && j.saturation > 0) {
      adjust_saturation(image, factor(strength[2], j.saturation));
    } else if (step == 3 && j.hue > 0) {
      adjust_hue(image, between(strength[3], -j.hue, j.hue));
    }
  }
}

void Augmenter::rand_augment(const ImageSpan& image, const SampleDraw& draw) {
  for (int i = 0; i < augmentation_.rand_augment.ops; ++i) {
    const PhiloxWords word = random_words(kRandAugmentStream, draw, static_cast<std::uint64_t>(i));
    const auto op = static_cast<RandOp>(below(word[0], kRandOps));
    const double strength = rand_strength(op, augmentation_.rand_augment.magnitude, image.extent);
    const bool negative = has_sign(op) && below(word[1], 2) == 1;
    apply(op, negative ? -strength : strength, image, scratch_);
  }
}

void Augmenter::erase(const ImageSpan& image, const SampleDraw& draw) const {
  const RandomErasing& e = augmentation_.erasing;
  const std::uint32_t chance = random_words(kErasingStream, draw, kErasingTries)[0];
  if (static_cast<double>(to_uniform(chance)) >= e.probability) return;
  const std::int64_t rows = image.extent.height, columns = image.extent.width;
  for (std::uint64_t attempt = 0; attempt < kErasingTries; ++attempt) {
    const PhiloxWords word = random_words(kErasingStream, draw, attempt);
    const double area =
        static_cast<double>(rows * columns) * between(word[0], e.scale_min, e.scale_max);
    const double ratio = std::exp(between(word[1], std::log(e.ratio_min), std::log(e.ratio_max)));
    const std::int64_t height = std::lround(std::sqrt(area * ratio));
    const std::int64_t width = std::lround(std::sqrt(area / ratio));
    if (height >= rows || width >= columns) continue;
    const Box box{below(word[2], rows - height + 1), below(word[3], columns - width + 1), height,
                  width};
    return fill(image, box, augmentation_.blank);
  }
}

// The middle of the square is any pixel, and what lies outside is not there (DeVries and Taylor,
// arXiv:1708.04552).
void Augmenter::cut_out(const ImageSpan& image, const SampleDraw& draw) const {
  const PhiloxWords word = random_words(kErasingStream, draw, kCutoutBlock);
  const auto side = [&](std::uint32_t w, std::int64_t size) {
    const std::int64_t begin = below(w, size) - augmentation_.cutout / 2;
    const std::int64_t end = std::min(size, begin + augmentation_.cutout);
    return std::pair{std::max<std::int64_t>(0, begin), end - std::max<std::int64_t>(0, begin)};
  };
  const auto [y, height] = side(word[0], image.extent.height);
  const auto [x, width] = side(word[1], image.extent.width);
  fill(image, {y, x, height, width}, augmentation_.blank);
}

}  // namespace convoy::data
