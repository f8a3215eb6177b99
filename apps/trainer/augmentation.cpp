// SPDX-License-Identifier: MIT
#include "apps/trainer/augmentation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "kernels/require.h"

namespace convoy::apps {

data::RandAugment rand_augment_of(const std::string& aa) {
  if (aa.empty()) return {};
  const auto refuse = [&]() -> data::RandAugment {
    fail_usage(
        "--aa expects rand-m9-n2 or the like (magnitude 0 to {}, {} operations at most), "
        "found '{}'",
        data::kMostMagnitude, data::kMostOps, aa);
  };
  data::RandAugment policy{.ops = 2};
  std::string_view rest = aa;
  if (!rest.starts_with("rand")) return refuse();
  rest.remove_prefix(4);
  while (!rest.empty()) {
    if (rest.size() < 3 || rest[0] != '-' || (rest[1] != 'm' && rest[1] != 'n')) return refuse();
    int& field = rest[1] == 'm' ? policy.magnitude : policy.ops;
    const auto [end, error] = std::from_chars(rest.data() + 2, rest.data() + rest.size(), field);
    if (error != std::errc()) return refuse();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  }
  const bool known = policy.magnitude >= 0 && policy.magnitude <= data::kMostMagnitude &&
                     policy.ops >= 1 && policy.ops <= data::kMostOps;
  return known ? policy : refuse();
}

data::ColourJitter colour_jitter_of(const std::vector<double>& jitter) {
  const std::size_t count = jitter.size();
  if (count != 0 && count != 1 && count != 3 && count != 4) {
    fail_usage("--color-jitter expects 1, 3 or 4 numbers, found {}", count);
  }
  for (const double strength : jitter) {
    if (!(strength >= 0 && std::isfinite(strength))) {
      fail_usage("--color-jitter expects 0 or more, found {}", strength);
    }
  }
  if (count == 0) return {};
  if (count == 1) return {jitter[0], jitter[0], jitter[0], 0};
  return {jitter[0], jitter[1], jitter[2], count == 4 ? jitter[3] : 0};
}

bool is_random_window(const std::string& train_crop_mode) {
  if (train_crop_mode != "rrc" && train_crop_mode != "random") {
    fail_usage("--train-crop-mode expects rrc or random, found '{}'", train_crop_mode);
  }
  return train_crop_mode == "random";
}

data::Augmentation augmentation_of(const TrainConfig& c, const InputFormat& input) {
  data::Augmentation a{.padding = c.crop_padding,
                       .hflip = c.hflip,
                       .scale_min = c.scale[0],
                       .scale_max = c.scale[1],
                       .ratio_min = c.ratio[0],
                       .ratio_max = c.ratio[1],
                       .random_window = is_random_window(c.train_crop_mode),
                       .alternate_flip = c.alternate_flip,
                       .jitter = colour_jitter_of(c.color_jitter),
                       .rand_augment = rand_augment_of(c.aa),
                       .erasing = {.probability = c.reprob},
                       .cutout = c.cutout};
  for (std::size_t i = 0; i < std::min(input.mean.size(), a.blank.size()); ++i) {
    const long level = std::lround(255 * input.mean[i]);
    a.blank[i] = static_cast<std::uint8_t>(std::clamp(level, 0L, 255L));
  }
  return a;
}

}  // namespace convoy::apps
