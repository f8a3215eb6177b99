// SPDX-License-Identifier: MIT
#include "apps/trainer/checkpoint.h"

#include <algorithm>

#include "apps/trainer/checkpoint_json.h"
#include "apps/trainer/json_text.h"
#include "kernels/require.h"
#include "nn/weights.h"
#include "runtime/atomic_file.h"
#include "runtime/crc32c.h"

namespace convoy::apps {
namespace {

constexpr const char* kModel = "model.safetensors";
constexpr const char* kModelEma = "model_ema.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path, text.size());
  file.write(text);
  file.commit();
}

// Empty when all files are as the manifest says, else what is wrong.
std::string damage(const fs::path& checkpoint) {
  try {
    const Manifest manifest =
        parse_manifest(read_json_text(checkpoint / kManifest), (checkpoint / kManifest).string());
    for (const char* file : {kModel, kModelEma, kOptimizer, kState}) {
      const auto listed = manifest.find(file);
      if (file == kModelEma && listed == manifest.end() && !has_averages(checkpoint)) continue;
      if (listed == manifest.end()) return fmt::format("{} does not list {}", kManifest, file);
      const FileChecksum expected = listed->second, found = checksum_file(checkpoint / file);
      if (found.bytes != expected.bytes) {
        return fmt::format("{} expects {} bytes, found {}", file, expected.bytes, found.bytes);
      }
      if (found.crc32c != expected.crc32c) {
        return fmt::format("{} expects CRC-32C {:08x}, found {:08x}", file, expected.crc32c,
                           found.crc32c);
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
  write_text(folder / kState, state_text(state));
  std::vector<std::pair<std::string, FileChecksum>> files;
  for (const char* file : names) files.emplace_back(file, checksum_file(folder / file));
  write_text(folder / kManifest, manifest_text(state.step, files));
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
  return parse_state(read_json_text(checkpoint / kState), (checkpoint / kState).string());
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
