// SPDX-License-Identifier: MIT
#include "data/catalog.h"

#include <algorithm>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/pack.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

// Means and deviations of the training sets, as commonly published; ImageNet's for folders.
const std::vector<DatasetPreset>& presets() {
  static const std::vector<DatasetPreset> all = {
      {"mnist", {0.1307f}, {0.3081f}, 0, 0.0, "train", "test"},
      {"fashion_mnist", {0.2860f}, {0.3530f}, 0, 0.0, "train", "test"},
      {"cifar10",
       {0.4914f, 0.4822f, 0.4465f},
       {0.2470f, 0.2435f, 0.2616f},
       4,
       0.5,
       "train",
       "test"},
      {"cifar100",
       {0.5071f, 0.4865f, 0.4409f},
       {0.2673f, 0.2564f, 0.2762f},
       4,
       0.5,
       "train",
       "test"},
      {"image_folder", {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 0, 0.5, "train", "val"},
  };
  return all;
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool is_held_out(const std::string& split) {
  return split == "test" || split == "val" || split == "validation";
}

std::unique_ptr<Dataset> open_folder(const fs::path& folder, const std::string& split,
                                     const std::vector<std::string>& class_names) {
  if (is_held_out(split)) {
    if (fs::is_directory(folder / split)) return open_image_folder(folder, split, class_names);
    for (const char* name : {"val", "test", "validation"}) {
      if (fs::is_directory(folder / name)) return open_image_folder(folder, name, class_names);
    }
  }
  return open_image_folder(folder, split, class_names);
}

std::unique_ptr<Dataset> open_pack_of(const fs::path& folder, const fs::path& pack,
                                      const std::string& split,
                                      const std::vector<std::string>& class_names) {
  auto dataset = open_pack(pack, split, class_names);
  if (fs::is_directory(folder / split) && pack != folder) {
    dataset->warn(
        fmt::format("{} is read, not the folder {}", pack.string(), (folder / split).string()));
  }
  return dataset;
}

}  // namespace

fs::path pack_of(const fs::path& folder, const std::string& split) {
  if (is_pack(folder)) return folder;
  std::vector<std::string> names{split};
  if (is_held_out(split)) names.insert(names.end(), {"val", "test", "validation"});
  for (const std::string& name : names) {
    if (!name.empty() && is_pack(folder / (name + ".pack"))) return folder / (name + ".pack");
  }
  return {};
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetPreset& preset : presets()) names.push_back(preset.name);
  return names;
}

const DatasetPreset& dataset_preset(const std::string& name) {
  for (const DatasetPreset& preset : presets()) {
    if (preset.name == with_underscores(name)) return preset;
  }
  fail_usage("dataset: expected one of {}, found {}", joined(dataset_names()), name);
}

bool may_be_mirrored(const std::vector<std::string>& class_names) {
  return class_names != digit_names();
}

std::string guess_dataset(const fs::path& folder) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has("train-images-idx3-ubyte") || has("train-images-idx3-ubyte.gz") ||
      has("t10k-images-idx3-ubyte") || has("t10k-images-idx3-ubyte.gz")) {
    return folder.string().find("fashion") == std::string::npos ? "mnist" : "fashion_mnist";
  }
  if (has("test_batch.bin") || has("data_batch_1.bin")) return "cifar10";
  if (has("fine_label_names.txt") || (has("train.bin") && has("test.bin"))) return "cifar100";
  for (const char* split : {"train", "val"}) {
    const fs::path pack = pack_of(folder, split);
    if (pack.empty()) continue;
    const std::string name = pack_source(pack).dataset;
    return name.empty() ? "image_folder" : name;
  }
  if (fs::is_directory(folder / "train") || fs::is_directory(folder / "val")) return "image_folder";
  return "";
}

std::unique_ptr<Dataset> open_dataset(const std::string& name, const fs::path& folder,
                                      const std::string& split,
                                      const std::vector<std::string>& class_names) {
  const DatasetPreset& preset = dataset_preset(name);
  const fs::path pack = pack_of(folder, split);
  if (!pack.empty()) return open_pack_of(folder, pack, split, class_names);
  if (preset.name == "image_folder") return open_folder(folder, split, class_names);
  if (split != "train" && !is_held_out(split)) {
    fail_usage("{}: split expects train or test, found {}", preset.name, split);
  }
  const std::string which = split == "train" ? "train" : "test";
  if (preset.name == "cifar10") return open_cifar(folder, CifarVariant::cifar10, which);
  if (preset.name == "cifar100") return open_cifar(folder, CifarVariant::cifar100, which);
  return open_mnist(folder, which, preset.name == "mnist" ? digit_names() : fashion_mnist_names());
}

std::vector<std::string> digit_names() {
  return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
}

std::vector<std::string> fashion_mnist_names() {
  return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
}

std::vector<std::string> cifar10_names() {
  return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
}

}  // namespace convoy::data
