// SPDX-License-Identifier: MIT
#include "data/batch_mix.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr std::uint32_t kMixStream = 0xDA7A0008;

// Uniform numbers in (0, 1), as many as it takes.
class Uniforms {
 public:
  explicit Uniforms(const SampleDraw& draw) : draw_(draw) {}
  double next() {
    if (at_ == 4) {
      const std::uint64_t block = static_cast<std::uint64_t>(draw_.index) << 16 | block_++;
      words_ =
          philox_block({draw_.seed, kMixStream}, static_cast<std::uint64_t>(draw_.epoch), block);
      at_ = 0;
    }
    return (words_[at_++] + 0.5) * 0x1p-32;
  }

 private:
  SampleDraw draw_;
  PhiloxWords words_ = {};
  std::size_t at_ = 4;
  std::uint64_t block_ = 0;
};

// Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); below 1 by their
// section 6.
double gamma(double shape, Uniforms& random) {
  if (shape < 1) {
    const double larger = gamma(shape + 1, random);
    return larger * std::pow(random.next(), 1 / shape);
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double radius = std::sqrt(-2 * std::log(random.next()));
    const double x = radius * std::cos(2 * std::numbers::pi * random.next());
    const double v = std::pow(1 + c * x, 3), u = random.next();
    if (v > 0 && std::log(u) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

// Both may be too small for a double: then it is one or the other.
double beta(double a, Uniforms& random) {
  const double x = gamma(a, random), y = gamma(a, random);
  return x + y > 0 ? x / (x + y) : std::round(random.next());
}

// A box of `part` of the picture whose middle may be anywhere, as much of it as lies within.
Box cut_box(const ImageExtent& e, double part, Uniforms& random) {
  const auto cut = [&](std::int64_t side) {
    const auto length = static_cast<std::int64_t>(static_cast<double>(side) * std::sqrt(part));
    const auto middle = static_cast<std::int64_t>(static_cast<double>(side) * random.next());
    const std::int64_t first = std::clamp<std::int64_t>(middle - length / 2, 0, side);
    return std::pair{first, std::clamp<std::int64_t>(middle + length / 2, 0, side) - first};
  };
  const auto [y, height] = cut(e.height);
  const auto [x, width] = cut(e.width);
  return {y, x, height, width};
}

void check_probability(double p, const char* what) {
  if (!(p >= 0 && p <= 1)) fail_usage("{} expects a probability from 0 to 1, found {}", what, p);
}

}  // namespace

void check(const MixOptions& o) {
  for (const double a : {o.mixup, o.cutmix}) {
    if (!(a >= 0 && std::isfinite(a))) {
      fail_usage("mixup and cutmix expect 0 or more, found {}", a);
    }
  }
  check_probability(o.probability, "mixup's probability");
  check_probability(o.switch_probability, "the probability of cutmix");
}

BatchMix draw_mix(const MixOptions& o, const ImageExtent& extent, const SampleDraw& draw) {
  Uniforms random(draw);
  if (!o.any() || random.next() >= o.probability) return {};
  const bool switches = random.next() < o.switch_probability;
  const bool cut = o.cutmix > 0 && (o.mixup == 0 || switches);
  const double part = beta(cut ? o.cutmix : o.mixup, random);
  if (!cut) return {.share = part};
  const Box box = cut_box(extent, part, random);
  const auto all = static_cast<double>(extent.height * extent.width);
  return {.share = static_cast<double>(box.height * box.width) / all, .cut = true, .box = box};
}

void fill_weights(const BatchMix& mix, const ImageExtent& e, std::span<float> weights) {
  std::ranges::fill(weights, mix.cut ? 0.0f : static_cast<float>(mix.share));
  for (std::int64_t y = mix.box.y; y < mix.box.y + mix.box.height; ++y) {
    const std::int64_t at = y * e.width + mix.box.x;
    std::fill_n(weights.begin() + at, mix.box.width, 1.0f);
  }
}

}  // namespace convoy::data
