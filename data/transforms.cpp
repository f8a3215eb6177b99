// SPDX-License-Identifier: MIT
#include "data/transforms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr int kTries = 10;
constexpr std::uint64_t kRowBlock = 15;  // those before are the tries of random_resized_crop

// The largest part in the middle whose proportions are allowed.
Box middle_box(const ImageExtent& image, const Augmentation& a) {
  const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  Box box = whole(image);
  if (width / height < a.ratio_min) {
    box.height = std::lround(width / a.ratio_min);
  } else if (width / height > a.ratio_max) {
    box.width = std::lround(height * a.ratio_max);
  }
  box.height = std::clamp<std::int64_t>(box.height, 1, image.height);
  box.width = std::clamp<std::int64_t>(box.width, 1, image.width);
  box.y = (image.height - box.height) / 2;
  box.x = (image.width - box.width) / 2;
  return box;
}

void check_probability(double p, const char* what) {
  if (!(p >= 0 && p <= 1)) {
    fail_usage("augmentation: {} expects a probability from 0 to 1, found {}", what, p);
  }
}

void check_range(double low, double high, double most, const char* what) {
  if (!(low > 0 && low <= high && high <= most)) {
    fail_usage("augmentation: {} expects 0 < min <= max{}, found {} to {}", what,
               most == 1 ? " <= 1" : "", low, high);
  }
}

void check_least(double found, double most, const char* what) {
  if (!(found >= 0 && found <= most)) {
    fail_usage("augmentation: {} expects a value from 0 to {}, found {}", what, most, found);
  }
}

}  // namespace

PhiloxWords random_words(std::uint32_t stream, const SampleDraw& draw, std::uint64_t block) {
  return philox_block({draw.seed, stream}, static_cast<std::uint64_t>(draw.epoch),
                      static_cast<std::uint64_t>(draw.index) * kBlocksPerSample + block);
}

std::int64_t below(std::uint32_t word, std::int64_t bound) {
  return static_cast<std::int64_t>((std::uint64_t{word} * static_cast<std::uint64_t>(bound)) >> 32);
}

double between(std::uint32_t word, double low, double high) {
  return low + (high - low) * static_cast<double>(to_uniform(word));
}

void check(const Augmentation& a) {
  if (a.padding < 0) fail_usage("augmentation: padding expects 0 or more, found {}", a.padding);
  constexpr double kAny = std::numeric_limits<double>::infinity();
  check_probability(a.hflip, "hflip");
  check_range(a.scale_min, a.scale_max, 1, "scale");
  check_range(a.ratio_min, a.ratio_max, kAny, "ratio");
  check_least(a.jitter.brightness, kAny, "the jitter of brightness");
  check_least(a.jitter.contrast, kAny, "the jitter of contrast");
  check_least(a.jitter.saturation, kAny, "the jitter of saturation");
  check_least(a.jitter.hue, 0.5, "the jitter of hue");
  check_least(a.rand_augment.ops, kMostOps, "RandAugment's number of operations");
  check_least(a.rand_augment.magnitude, kMostMagnitude, "RandAugment's magnitude");
  check_probability(a.erasing.probability, "random erasing");
  check_range(a.erasing.scale_min, a.erasing.scale_max, 1, "random erasing's scale");
  check_range(a.erasing.ratio_min, a.erasing.ratio_max, kAny, "random erasing's ratio");
  check_least(a.cutout, kAny, "cutout");
}

ImageRow draw_row(const Augmentation& a, const SampleDraw& draw) {
  const PhiloxWords word = random_words(kAugmentStream, draw, kRowBlock);
  const std::int64_t places = 2 * std::int64_t{a.padding} + 1;
  // The first time is drawn without the epoch.
  const std::uint32_t first =
      a.alternate_flip ? random_words(kFlipStream, {draw.seed, 0, draw.index}, 0)[0] : word[2];
  const bool turns = a.alternate_flip && a.hflip > 0 && draw.epoch % 2 == 1;
  const bool flip = (static_cast<double>(to_uniform(first)) < a.hflip) != turns;
  return {static_cast<std::int32_t>(below(word[0], places) - a.padding),
          static_cast<std::int32_t>(below(word[1], places) - a.padding), flip ? 1 : 0};
}

Framing plain_resize(const ImageExtent& image, const ImageExtent& row) {
  return {whole(image), row.height, row.width, 0, 0};
}

Framing centre_crop(const ImageExtent& image, const ImageExtent& row, double crop_pct) {
  // The scaled picture must cover the row, so the factor is that of the side that is short of it.
  const double factor =
      std::max(static_cast<double>(row.height) / static_cast<double>(image.height),
               static_cast<double>(row.width) / static_cast<double>(image.width)) /
      crop_pct;
  const auto scaled = [&](std::int64_t side, std::int64_t least) {
    // A hair more, so that 256 / short * short does not come out as 255.
    const double exact = static_cast<double>(side) * factor;
    return std::max(least, static_cast<std::int64_t>(std::floor(exact + 1e-6)));
  };
  Framing f{whole(image), scaled(image.height, row.height), scaled(image.width, row.width), 0, 0};
  f.top = std::lround(static_cast<double>(f.height - row.height) / 2);
  f.left = std::lround(static_cast<double>(f.width - row.width) / 2);
  return f;
}

Framing random_window(const ImageExtent& image, const ImageExtent& row, const SampleDraw& draw) {
  const bool covers = image.height >= row.height && image.width >= row.width;
  Framing f =
      covers ? Framing{whole(image), image.height, image.width, 0, 0} : centre_crop(image, row, 1);
  const PhiloxWords word = random_words(kAugmentStream, draw, 0);
  f.top = below(word[2], f.height - row.height + 1);
  f.left = below(word[3], f.width - row.width + 1);
  return f;
}

Framing random_resized_crop(const ImageExtent& image, const ImageExtent& row, const Augmentation& a,
                            const SampleDraw& draw) {
  Framing f{middle_box(image, a), row.height, row.width, 0, 0};
  const auto area = static_cast<double>(image.height * image.width);
  for (std::uint64_t attempt = 0; attempt < kTries; ++attempt) {
    const PhiloxWords word = random_words(kAugmentStream, draw, attempt);
    const double part = area * between(word[0], a.scale_min, a.scale_max);
    const double ratio = std::exp(between(word[1], std::log(a.ratio_min), std::log(a.ratio_max)));
    const std::int64_t width = std::lround(std::sqrt(part * ratio));
    const std::int64_t height = std::lround(std::sqrt(part / ratio));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    f.box = {below(word[2], image.height - height + 1), below(word[3], image.width - width + 1),
             height, width};
    break;
  }
  return f;
}

}  // namespace convoy::data
