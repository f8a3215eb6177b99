// SPDX-License-Identifier: MIT
#include "apps/trainer/checkpoint_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/trainer/json_text.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

using Json = nlohmann::json;
using Ordered = nlohmann::ordered_json;  // what is written stands in the order of its writing

constexpr int kFormatVersion = 1;
constexpr std::int64_t kLargestCount = std::int64_t{1} << 53;  // of steps, samples, bytes
constexpr int kLargestInt = std::numeric_limits<int>::max();

// NaN has no place in JSON: a plateau that has seen nothing stands as null.
Ordered number_or_null(double value) {
  return std::isfinite(value) ? Ordered(value) : Ordered(nullptr);
}

Ordered to_json(const CheckpointState& s) {
  return {{"format_version", kFormatVersion},
          {"model", s.model},
          {"dataset", s.dataset},
          {"class_names", s.class_names},
          {"input_size", {s.input.extent.height, s.input.extent.width, s.input.extent.channels}},
          {"mean", s.input.mean},
          {"std", s.input.std},
          {"drop", s.drop},
          {"drop_path", s.drop_path},
          {"opt", s.optimizer},
          {"seed", s.seed},
          {"batch_size", s.batch_size},
          {"grad_accum_steps", s.grad_accum_steps},
          {"threads", s.threads},
          {"step", s.step},
          {"epoch", s.epoch},
          {"position", s.position},
          {"amp", s.amp},
          {"kernels", s.kernels},
          {"tuning", s.tuning},
          {"loss_scale",
           {{"scale", s.report.loss_scale},
            {"good_steps", s.report.good_steps},
            {"skipped", s.report.skipped},
            {"skipped_in_a_row", s.report.skipped_in_a_row}}},
          {"best_top1", s.best_top1},
          {"plateau",
           {{"factor", s.plateau.factor},
            {"best", number_or_null(s.plateau.best)},
            {"bad_updates", s.plateau.bad_updates},
            {"cooldown_left", s.plateau.cooldown_left}}}};
}

// What the pictures are brought to sizes buffers, so it is checked before it is believed.
void check(const InputFormat& input) {
  const auto [height, width, channels] = input.extent;
  const auto pixels = [](std::int64_t side) { return side >= 1 && side <= kMostPixelsASide; };
  if (!pixels(height) || !pixels(width) || (channels != 1 && channels != 3)) {
    throw Error(fmt::format("input_size expects sides of 1 to {} and 1 or 3 channels, found {}",
                            kMostPixelsASide, data::to_text(input.extent)));
  }
  const auto values = static_cast<std::size_t>(channels);
  const bool good =
      std::ranges::all_of(input.mean, [](float m) { return std::isfinite(m); }) &&
      std::ranges::all_of(input.std, [](float s) { return std::isfinite(s) && s > 0; });
  if (input.mean.size() != values || input.std.size() != values || !good) {
    throw Error(
        fmt::format("mean and std expect {} finite numbers, those of std positive, found {} and {}",
                    values, input.mean.size(), input.std.size()));
  }
}

void require_version(const Json& j) {
  const Json& version = j.at("format_version");
  if (version != kFormatVersion) {
    fail_data("format_version expects {}, found {}", kFormatVersion, in_short(version));
  }
}

std::uint64_t seed(const Json& value) {
  if (!value.is_number_unsigned()) fail_data("seed expects 64 bits, found {}", in_short(value));
  return value;
}

std::int64_t side(const Json& value) { return integer(value, "input_size", 1, kMostPixelsASide); }

int small(const Json& j, const char* key, int least) {
  return static_cast<int>(integer(j.at(key), key, least, kLargestInt));
}

CheckpointState from_json(const Json& j) {
  CheckpointState s;
  require_version(j);
  s.model = j.at("model");
  s.dataset = j.at("dataset");
  s.class_names = j.at("class_names").get<std::vector<std::string>>();
  const Json& size = j.at("input_size");
  s.input = {{side(size.at(0)), side(size.at(1)), side(size.at(2))},
             j.at("mean").get<std::vector<float>>(),
             j.at("std").get<std::vector<float>>()};
  check(s.input);
  s.drop = j.at("drop");
  s.drop_path = j.at("drop_path");
  s.optimizer = j.at("opt");
  s.seed = seed(j.at("seed"));
  s.batch_size = small(j, "batch_size", 1);
  s.grad_accum_steps = small(j, "grad_accum_steps", 1);
  s.threads = small(j, "threads", 0);
  s.step = integer(j.at("step"), "step", 0, kLargestCount);
  s.epoch = integer(j.at("epoch"), "epoch", 0, kLargestCount);
  s.position = integer(j.at("position"), "position", 0, kLargestCount);
  s.kernels = j.value("kernels", s.kernels);
  s.tuning = j.value("tuning", s.tuning);
  if (j.contains("amp")) {  // checkpoints from before there was mixed precision have none
    s.amp = j.at("amp");
    const Json& scale = j.at("loss_scale");
    s.report.loss_scale = scale.at("scale");
    s.report.good_steps = small(scale, "good_steps", 0);
    s.report.skipped = integer(scale.at("skipped"), "skipped", 0, kLargestCount);
    s.report.skipped_in_a_row = small(scale, "skipped_in_a_row", 0);
    if (!std::isfinite(s.report.loss_scale)) fail_data("loss_scale expects a finite scale");
  }
  s.best_top1 = j.at("best_top1");
  const Json& plateau = j.at("plateau");
  s.plateau.factor = plateau.at("factor");
  if (!plateau.at("best").is_null()) s.plateau.best = plateau.at("best");
  s.plateau.bad_updates = small(plateau, "bad_updates", 0);
  s.plateau.cooldown_left = small(plateau, "cooldown_left", 0);
  return s;
}

// What the library throws says what it missed, but not in which file.
template <class Read>
auto naming(const std::string& name, const Read& read) {
  try {
    return read();
  } catch (const std::exception& error) {
    fail_data("{}: {}", name, error.what());
  }
}

FileChecksum checksum(const Json& file) {
  return {static_cast<std::uint64_t>(integer(file.at("bytes"), "bytes", 0, kLargestCount)),
          static_cast<std::uint32_t>(
              integer(file.at("crc32c"), "crc32c", 0, std::numeric_limits<std::uint32_t>::max()))};
}

}  // namespace

std::string state_text(const CheckpointState& state) { return to_json(state).dump(2) + "\n"; }

CheckpointState parse_state(std::string_view text, const std::string& name) {
  const Json json = parse_json(text, name);
  return naming(name, [&] { return from_json(json); });
}

std::string manifest_text(std::int64_t step,
                          const std::vector<std::pair<std::string, FileChecksum>>& files) {
  Ordered listed;
  for (const auto& [file, sum] : files) {
    listed[file] = {{"bytes", sum.bytes}, {"crc32c", sum.crc32c}};
  }
  const Ordered manifest{{"format_version", kFormatVersion}, {"step", step}, {"files", listed}};
  return manifest.dump(2) + "\n";
}

Manifest parse_manifest(std::string_view text, const std::string& name) {
  const Json json = parse_json(text, name);
  return naming(name, [&] {
    require_version(json);
    Manifest files;
    for (const auto& [file, entry] : json.at("files").items()) files[file] = checksum(entry);
    return files;
  });
}

}  // namespace convoy::apps
