// SPDX-License-Identifier: MIT
#include "apps/trainer/checkpoint.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/require.h"
#include "nn/weights.h"
#include "runtime/atomic_file.h"
#include "runtime/crc32c.h"

namespace convoy::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr const char* kModel = "model.safetensors";
constexpr const char* kModelEma = "model_ema.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";

// NaN has no place in JSON: a plateau that has seen nothing stands as null.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_json(const CheckpointState& s) {
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
  const bool positive =
      std::all_of(input.std.begin(), input.std.end(), [](float s) { return s > 0; });
  if (input.mean.size() != values || input.std.size() != values || !positive) {
    throw Error(
        fmt::format("mean and std expect {} numbers, those of std positive, found {} and {}",
                    values, input.mean.size(), input.std.size()));
  }
}

void require_version(const Json& j) {
  const int version = j.at("format_version");
  if (version != kFormatVersion) {
    throw Error(fmt::format("format_version expects {}, found {}", kFormatVersion, version));
  }
}

CheckpointState from_json(const Json& j) {
  CheckpointState s;
  require_version(j);
  s.model = j.at("model");
  s.dataset = j.at("dataset");
  s.class_names = j.at("class_names").get<std::vector<std::string>>();
  const auto size = j.at("input_size").get<std::array<std::int64_t, 3>>();
  s.input = {{size[0], size[1], size[2]},
             j.at("mean").get<std::vector<float>>(),
             j.at("std").get<std::vector<float>>()};
  check(s.input);
  s.drop = j.at("drop");
  s.drop_path = j.at("drop_path");
  s.optimizer = j.at("opt");
  s.seed = j.at("seed");
  s.batch_size = j.at("batch_size");
  s.grad_accum_steps = j.at("grad_accum_steps");
  s.threads = j.at("threads");
  s.step = j.at("step");
  s.epoch = j.at("epoch");
  s.position = j.at("position");
  s.kernels = j.value("kernels", s.kernels);
  s.tuning = j.value("tuning", s.tuning);
  if (j.contains("amp")) {  // checkpoints from before there was mixed precision have none
    s.amp = j.at("amp");
    const Json& scale = j.at("loss_scale");
    s.report.loss_scale = scale.at("scale");
    s.report.good_steps = scale.at("good_steps");
    s.report.skipped = scale.at("skipped");
    s.report.skipped_in_a_row = scale.at("skipped_in_a_row");
  }
  s.best_top1 = j.at("best_top1");
  const Json& plateau = j.at("plateau");
  s.plateau.factor = plateau.at("factor");
  if (!plateau.at("best").is_null()) s.plateau.best = plateau.at("best");
  s.plateau.bad_updates = plateau.at("bad_updates");
  s.plateau.cooldown_left = plateau.at("cooldown_left");
  return s;
}

Json read_json(const fs::path& path) {
  std::ifstream in(path);
  if (!in) fail_data("{}: expected a checkpoint's file, found none", path.string());
  Json json = Json::parse(in, nullptr, false);
  if (json.is_discarded()) fail_data("{}: is damaged: not JSON", path.string());
  return json;
}

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path, text.size());
  file.write(text);
  file.commit();
}

// Empty when all files are as the manifest says, else what is wrong.
std::string damage(const fs::path& checkpoint) {
  try {
    const Json manifest = read_json(checkpoint / kManifest);
    require_version(manifest);
    const Json& files = manifest.at("files");
    for (const char* file : {kModel, kModelEma, kOptimizer, kState}) {
      if (file == kModelEma && !files.contains(file) && !has_averages(checkpoint)) continue;
      const Json& expected = files.at(file);
      const FileChecksum found = checksum_file(checkpoint / file);
      const std::uint64_t bytes = expected.at("bytes");
      if (found.bytes != bytes) {
        return fmt::format("{} expects {} bytes, found {}", file, bytes, found.bytes);
      }
      const std::uint32_t crc = expected.at("crc32c");
      if (found.crc32c != crc) {
        return fmt::format("{} expects CRC-32C {:08x}, found {:08x}", file, crc, found.crc32c);
      }
    }
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

void require_whole(const fs::path& checkpoint) {
  const std::string wrong = damage(checkpoint);
  if (!wrong.empty()) {
    fail_data("checkpoint {} is damaged: {}; use an earlier one", checkpoint.string(), wrong);
  }
}

// All folders named like checkpoints, oldest first.
std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with("step-")) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Keeps `newest` and keep - 1 before it; those of later steps are none of this run's.
void remove_old(const fs::path& newest, int keep) {
  std::vector<fs::path> all = list_checkpoints(newest.parent_path());
  all.erase(std::upper_bound(all.begin(), all.end(), newest), all.end());
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < all.size(); ++i) {
    fs::remove_all(all[i]);
  }
}

// What saves have left that were not finished, and would take place for good.
void remove_unfinished(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".partial") found.push_back(entry.path());
  }
  for (const fs::path& partial : found) fs::remove_all(partial);
}

void write_files(const fs::path& folder, const CheckpointState& state, const Trained& trained) {
  nn::save_weights(trained.model, trained.store, folder / kModel);
  nn::save_tensors(trained.optimizer.state(), folder / kOptimizer);
  std::vector<const char*> names{kModel, kOptimizer, kState};
  if (trained.ema != nullptr) {
    nn::save_weights(trained.ema->weights(trained.model), folder / kModelEma);
    names.push_back(kModelEma);
  }
  write_text(folder / kState, to_json(state).dump(2) + "\n");
  Json files;
  for (const char* file : names) {
    const FileChecksum sum = checksum_file(folder / file);
    files[file] = {{"bytes", sum.bytes}, {"crc32c", sum.crc32c}};
  }
  const Json manifest{{"format_version", kFormatVersion}, {"step", state.step}, {"files", files}};
  write_text(folder / kManifest, manifest.dump(2) + "\n");
}

}  // namespace

fs::path save_checkpoint(const fs::path& output, const CheckpointState& state,
                         const Trained& trained, int keep) {
  const fs::path all = output / "checkpoints";
  const std::string name = fmt::format("step-{:08}", state.step);
  const fs::path partial = all / ("." + name + ".partial"), whole = all / name;
  create_folders(all);
  remove_unfinished(all);
  fs::create_directory(partial);
  write_files(partial, state, trained);
  // There may be one of this step: a run that was stopped at an epoch's end has saved it before the
  // evaluation, and one that was damaged had its work done again.
  put_in_place(partial, whole);
  remove_old(whole, keep);
  return whole;
}

// In the order of write_files.
void join_checkpoint(const Trained& trained) {
  trained.store.weights(trained.model);
  trained.optimizer.state();
  if (trained.ema != nullptr) trained.ema->weights(trained.model);
}

bool is_checkpoint(const fs::path& path) {
  return fs::is_directory(path) &&
         (fs::exists(path / kManifest) || path.filename().string().starts_with("step-"));
}

fs::path find_checkpoint(const fs::path& path) {
  if (!fs::exists(path))
    fail_data("checkpoint {}: expected a file or folder, found none", path.string());
  if (is_checkpoint(path)) {
    require_whole(path);
    return path;
  }
  if (!fs::is_directory(path)) {
    fail_data("checkpoint {}: expected a checkpoint's or a run's folder, found a file",
              path.string());
  }
  const fs::path folder = fs::is_directory(path / "checkpoints") ? path / "checkpoints" : path;
  std::vector<fs::path> all = list_checkpoints(folder);
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    const std::string wrong = damage(*it);
    if (wrong.empty()) return *it;
    fmt::print(stderr, "convoy: note: checkpoint {} is damaged ({}); taking the one before\n",
               it->string(), wrong);
  }
  fail_data("{}: expected a checkpoint (step-…/manifest.json), found no complete one",
            path.string());
}

bool has_checkpoints(const fs::path& output) {
  const fs::path folder = output / "checkpoints";
  return fs::is_directory(folder) && !list_checkpoints(folder).empty();
}

CheckpointState load_state(const fs::path& checkpoint) {
  require_whole(checkpoint);
  try {
    return from_json(read_json(checkpoint / kState));
  } catch (const std::exception& e) {
    fail_data("{}: {}", (checkpoint / kState).string(), e.what());
  }
}

void load_optimizer(const fs::path& checkpoint, nn::Optimizer& optimizer) {
  optimizer.load_state([&](const auto& state) {
    nn::load_tensors(state, checkpoint / kOptimizer, "the optimizer");
  });
}

bool has_averages(const fs::path& checkpoint) { return fs::exists(checkpoint / kModelEma); }

void load_averages(const fs::path& checkpoint, const nn::Module& model, nn::Ema& ema) {
  ema.load(model, [&](const auto& averages) {
    nn::load_tensors(averages, checkpoint / kModelEma, "the model");
  });
}

namespace {

fs::path weights_file(const fs::path& path) {
  if (!fs::exists(path))
    fail_data("checkpoint {}: expected a file or folder, found none", path.string());
  return fs::is_directory(path) ? find_checkpoint(path) / kModel : path;
}

}  // namespace

void load_model(const fs::path& path, nn::Module& model) {
  nn::load_weights(model, weights_file(path));
}

void load_model(const fs::path& path, nn::Module& model, nn::ParameterStore& store) {
  nn::load_weights(model, store, weights_file(path));
}

void load_averages(const fs::path& path, nn::Module& model, nn::ParameterStore& store) {
  const fs::path folder = weights_file(path).parent_path();
  if (!fs::is_directory(path) || !has_averages(folder)) {
    fail_usage("--use-ema expects a checkpoint of a run with --model-ema, found none in {}",
               path.string());
  }
  nn::load_weights(model, store, folder / kModelEma);
}

}  // namespace convoy::apps
