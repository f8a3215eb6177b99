// SPDX-License-Identifier: MIT
#include "data/synth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/digit_strokes.h"
#include "data/file.h"
#include "data/transforms.h"
#include "kernels/random.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

// The random numbers of one picture: 2^16 blocks of four words, enough for 256 x 256 x 3 of noise.
class Dice {
 public:
  Dice(std::uint64_t seed, SynthSplit split, int digit, int index)
      : key_{seed, kSynthStream},
        step_(static_cast<std::uint64_t>(digit) * 2 + (split == SynthSplit::val ? 1 : 0)),
        at_(static_cast<std::uint64_t>(index) << 18) {}

  std::uint32_t word() {
    if (at_ % 4 == 0) block_ = philox_block(key_, step_, at_ / 4);
    return block_[at_++ % 4];
  }
  float between(float low, float high) { return low + (high - low) * to_uniform(word()); }
  // About normal with mean 0 and deviation 1: the sum of four bytes.
  float bell() {
    const std::uint32_t w = word();
    const auto sum = static_cast<float>((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24));
    return (sum - 510.0f) / 147.8f;
  }

 private:
  PhiloxKey key_;
  std::uint64_t step_, at_;
  PhiloxWords block_{};
};

// From the unit square in which digits are drawn to pixels.
struct Affine {
  float xx, xy, x0, yx, yy, y0;
  Point operator()(Point p) const { return {xx * p.x + xy * p.y + x0, yx * p.x + yy * p.y + y0}; }
};

Affine random_affine(Dice& dice, float size) {
  const float angle = dice.between(-0.26f, 0.26f);  // 15 degrees
  const float slant = dice.between(-0.25f, 0.25f);
  const float width = size * dice.between(0.72f, 1.05f), height = size * dice.between(0.72f, 1.05f);
  const float dx = size * dice.between(-0.09f, 0.09f), dy = size * dice.between(-0.09f, 0.09f);
  const float c = std::cos(angle), s = std::sin(angle);
  Affine a{c * width, (c * slant - s) * height, 0, s * width, (s * slant + c) * height, 0};
  a.x0 = size / 2 + dx - (a.xx + a.xy) / 2;  // the digit's middle goes near the picture's
  a.y0 = size / 2 + dy - (a.yx + a.yy) / 2;
  return a;
}

using Colour = std::array<float, 3>;

float brightness(const Colour& c) { return 0.3f * c[0] + 0.59f * c[1] + 0.11f * c[2]; }

Colour random_colour(Dice& dice) {
  return {dice.between(0, 255), dice.between(0, 255), dice.between(0, 255)};
}

// An ink that can be told from the paper by its brightness.
Colour random_ink(Dice& dice, const Colour& paper) {
  constexpr float kContrast = 70;
  for (int attempt = 0; attempt < 16; ++attempt) {
    const Colour ink = random_colour(dice);
    if (std::abs(brightness(ink) - brightness(paper)) >= kContrast) return ink;
  }
  return brightness(paper) > 127 ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

float distance(Point p, const Segment& s) {
  const float dx = s.to.x - s.from.x, dy = s.to.y - s.from.y;
  const float length2 = dx * dx + dy * dy;
  const float along = ((p.x - s.from.x) * dx + (p.y - s.from.y) * dy) / std::max(length2, 1e-12f);
  const float t = std::clamp(along, 0.0f, 1.0f);
  return std::hypot(p.x - s.from.x - t * dx, p.y - s.from.y - t * dy);
}

float distance(Point p, const std::vector<Segment>& segments) {
  float nearest = 1e9f;
  for (const Segment& s : segments) nearest = std::min(nearest, distance(p, s));
  return nearest;
}

std::uint8_t level(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

void check(const SynthOptions& o) {
  const auto expect = [](const char* what, int value, int low, int high) {
    if (value >= low && value <= high) return;
    fail_usage("synth: {} expects {} to {}, found {}", what, low, high, value);
  };
  expect("train images per class", o.train_per_class, 1, 65535);
  expect("validation images per class", o.val_per_class, 1, 65535);
  expect("size", o.size, 16, 256);
  expect("quality", o.quality, 1, 100);
}

void write_split(const fs::path& folder, SynthSplit split, int count, const SynthOptions& options) {
  for (int digit = 0; digit < 10; ++digit) {
    const fs::path home = folder / fmt::format("{}", digit);
    fs::create_directories(home);
    for (int index = 1; index <= count; ++index) {
      write_file(home / fmt::format("{:05}.jpg", index),
                 encode_jpeg(draw_digit(digit, split, index, options), options.quality));
    }
  }
}

}  // namespace

Image draw_digit(int digit, SynthSplit split, int index, const SynthOptions& options) {
  require(digit >= 0 && digit <= 9, "synth: digit expects 0 to 9, found {}", digit);
  require(index >= 1 && index <= 65535, "synth: index expects 1 to 65535, found {}", index);
  Dice dice(options.seed, split, digit, index);
  const auto size = static_cast<float>(options.size);
  const Affine affine = random_affine(dice, size);
  std::vector<Segment> segments = digit_strokes(digit);
  for (Segment& s : segments) s = {affine(s.from), affine(s.to)};
  const float radius = size * dice.between(0.030f, 0.065f);
  const Colour paper = random_colour(dice), ink = random_ink(dice, paper);
  const float slope_x = dice.between(-40, 40) / size, slope_y = dice.between(-40, 40) / size;
  const float noise = dice.between(0, 20);

  Image image({options.size, options.size, 3});
  for (int y = 0; y < options.size; ++y) {
    for (int x = 0; x < options.size; ++x) {
      const Point p{static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f};
      const float inked = std::clamp(radius - distance(p, segments) + 0.5f, 0.0f, 1.0f);
      const float shade = slope_x * (p.x - size / 2) + slope_y * (p.y - size / 2);
      for (std::size_t c = 0; c < 3; ++c) {
        const float value = inked * ink[c] + (1 - inked) * (paper[c] + shade);
        image.at(y, x, static_cast<std::int64_t>(c)) = level(value + noise * dice.bell());
      }
    }
  }
  return image;
}

void write_synth(const fs::path& root, const SynthOptions& options) {
  check(options);
  if (fs::exists(root) && !(fs::is_directory(root) && fs::is_empty(root))) {
    fail_usage("synth: {} expects to be a new or an empty folder: it holds something already",
               root.string());
  }
  const fs::path target = fs::absolute(root / "").parent_path();
  const fs::path partial = target.string() + ".partial";
  fs::remove_all(partial);  // of a run that was stopped
  write_split(partial / "train", SynthSplit::train, options.train_per_class, options);
  write_split(partial / "val", SynthSplit::val, options.val_per_class, options);
  fs::rename(partial, target);
}

}  // namespace convoy::data
