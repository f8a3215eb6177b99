// SPDX-License-Identifier: MIT
#include "data/transforms.h"

#include <algorithm>
#include <cmath>

#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr int kTries = 10;
constexpr std::uint64_t kBlocksPerSample = 16;  // of four words: one per try, the last for the row
constexpr std::uint64_t kRowBlock = 15;

PhiloxWords words(const SampleDraw& draw, std::uint64_t block) {
  return philox_block({draw.seed, kAugmentStream}, static_cast<std::uint64_t>(draw.epoch),
                      static_cast<std::uint64_t>(draw.index) * kBlocksPerSample + block);
}

// An integer in [0, bound).
std::int64_t below(std::uint32_t word, std::int64_t bound) {
  return static_cast<std::int64_t>((std::uint64_t{word} * static_cast<std::uint64_t>(bound)) >> 32);
}

double between(std::uint32_t word, double low, double high) {
  return low + (high - low) * static_cast<double>(to_uniform(word));
}

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

}  // namespace

void check(const Augmentation& a) {
  if (a.padding < 0) fail_usage("augmentation: padding expects 0 or more, found {}", a.padding);
  if (!(a.hflip >= 0 && a.hflip <= 1)) {
    fail_usage("augmentation: hflip expects a probability from 0 to 1, found {}", a.hflip);
  }
  if (!(a.scale_min > 0 && a.scale_min <= a.scale_max && a.scale_max <= 1)) {
    fail_usage("augmentation: scale expects 0 < min <= max <= 1, found {} to {}", a.scale_min,
               a.scale_max);
  }
  if (!(a.ratio_min > 0 && a.ratio_min <= a.ratio_max)) {
    fail_usage("augmentation: ratio expects 0 < min <= max, found {} to {}", a.ratio_min,
               a.ratio_max);
  }
}

ImageRow draw_row(const Augmentation& a, const SampleDraw& draw) {
  const PhiloxWords word = words(draw, kRowBlock);
  const std::int64_t places = 2 * std::int64_t{a.padding} + 1;
  return {static_cast<std::int32_t>(below(word[0], places) - a.padding),
          static_cast<std::int32_t>(below(word[1], places) - a.padding),
          static_cast<double>(to_uniform(word[2])) < a.hflip ? 1 : 0};
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

Framing random_resized_crop(const ImageExtent& image, const ImageExtent& row, const Augmentation& a,
                            const SampleDraw& draw) {
  Framing f{middle_box(image, a), row.height, row.width, 0, 0};
  const auto area = static_cast<double>(image.height * image.width);
  for (std::uint64_t attempt = 0; attempt < kTries; ++attempt) {
    const PhiloxWords word = words(draw, attempt);
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
