// SPDX-License-Identifier: MIT
#pragma once
// The data sets that Convoy knows by name: their classes, the mean and deviation of their training
// pixels, and which augmentation suits them (a mirrored digit is another digit, or none).
//
//   auto train = open_dataset("cifar10", "data/cifar10", "train");
//   const DatasetPreset& preset = dataset_preset("cifar10");

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

struct DatasetPreset {
  std::string name;
  std::vector<float> mean, std;  // per channel, of values in [0, 1]
  int padding = 0;               // training crops are moved by up to this many pixels
  double hflip = 0;              // probability of a mirror image in training
  std::string train_split, val_split;
};

// "mnist", "fashion_mnist", "cifar10", "cifar100" or "image_folder", also with dashes for
// underscores. Throws Error of kind usage that lists the names.
const DatasetPreset& dataset_preset(const std::string& name);
std::vector<std::string> dataset_names();

// False where a mirror image is of no class: classes that are the ten digits, as `synth` writes
// them.
bool may_be_mirrored(const std::vector<std::string>& class_names);

// What `folder` seems to hold by the files in it; "" if nothing that is known.
std::string guess_dataset(const std::filesystem::path& folder);

// The pack that open_dataset() takes: `folder` itself, or SPLIT.pack in it; empty where there is
// none.
std::filesystem::path pack_of(const std::filesystem::path& folder, const std::string& split);

// `split` is "train" or the held-out one: "test", "val" and "validation" mean the same. For an
// image folder it may be empty (the folder itself has the classes). A pack, or the pack SPLIT.pack
// in the folder, goes before what else is there, whatever the name. `class_names`, if not empty,
// are what an image folder or a pack must have. Throws Error of kind data or usage.
std::unique_ptr<Dataset> open_dataset(const std::string& name, const std::filesystem::path& folder,
                                      const std::string& split,
                                      const std::vector<std::string>& class_names = {});

std::vector<std::string> digit_names();          // "0" to "9"
std::vector<std::string> fashion_mnist_names();  // in the order of its labels
std::vector<std::string> cifar10_names();

}  // namespace convoy::data
