// SPDX-License-Identifier: MIT
#include "nn/models.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "nn/models/builders.h"

namespace convoy::nn {
namespace {

using Builder = std::unique_ptr<Module> (*)(const ModelOptions&);

template <auto build, int depth>
std::unique_ptr<Module> with_depth(const ModelOptions& options) {
  return build(depth, options);
}

struct Entry {
  ModelInfo info;
  Builder build;
  bool takes_drop_path;
};

constexpr std::array kModels{
    Entry{{"convnext_tiny", "ConvNeXt-T, depthwise 7x7 (arXiv:2201.03545)", 1000, 3, 224},
          build_convnext_tiny,
          true},
    Entry{
        {"densenet121", "DenseNet-121 (arXiv:1608.06993)", 1000, 3, 224}, build_densenet121, false},
    Entry{{"lenet5", "LeNet-5 with ReLU and max pooling", 10, 1, 28}, build_lenet5, false},
    Entry{{"mobilenetv2_100", "MobileNetV2, width 1.0 (arXiv:1801.04381)", 1000, 3, 224},
          build_mobilenetv2_100,
          true},
    Entry{{"resnet18", "ResNet-18 (arXiv:1512.03385)", 1000, 3, 224},
          with_depth<build_resnet, 18>,
          true},
    Entry{{"resnet34", "ResNet-34", 1000, 3, 224}, with_depth<build_resnet, 34>, true},
    Entry{{"resnet50", "ResNet-50, stride in the 3x3", 1000, 3, 224},
          with_depth<build_resnet, 50>,
          true},
    Entry{{"resnet20", "CIFAR ResNet-20, shortcuts without parameters", 10, 3, 32},
          with_depth<build_resnet_cifar, 20>,
          true},
    Entry{{"resnet32", "CIFAR ResNet-32", 10, 3, 32}, with_depth<build_resnet_cifar, 32>, true},
    Entry{{"resnet44", "CIFAR ResNet-44", 10, 3, 32}, with_depth<build_resnet_cifar, 44>, true},
    Entry{{"resnet56", "CIFAR ResNet-56", 10, 3, 32}, with_depth<build_resnet_cifar, 56>, true},
    Entry{{"resnet110", "CIFAR ResNet-110", 10, 3, 32}, with_depth<build_resnet_cifar, 110>, true},
    Entry{{"vgg11_bn", "VGG-11 with batch norm (arXiv:1409.1556)", 1000, 3, 224},
          with_depth<build_vgg_bn, 11>,
          false},
    Entry{
        {"vgg16_bn", "VGG-16 with batch norm", 1000, 3, 224}, with_depth<build_vgg_bn, 16>, false},
};

constexpr auto kInfos = [] {
  std::array<ModelInfo, kModels.size()> infos{};
  for (std::size_t i = 0; i < infos.size(); ++i) infos[i] = kModels[i].info;
  return infos;
}();

// Levenshtein's: insertions, deletions and replacements between two words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

const Entry& find_model(std::string_view name) {
  const auto at = std::find_if(kModels.begin(), kModels.end(),
                               [&](const Entry& entry) { return name == entry.info.name; });
  if (at != kModels.end()) return *at;
  std::vector<const char*> names;
  for (const Entry& entry : kModels) names.push_back(entry.info.name);
  std::stable_sort(names.begin(), names.end(), [&](const char* a, const char* b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
  names.resize(3);
  fail_usage("--model: there is no '{}'; the nearest names are {} (`convoy models` lists all)",
             name, fmt::join(names, ", "));
}

bool takes_base_width(const Entry& entry) {
  const Builder build = entry.build;
  return build == with_depth<build_resnet, 18> || build == with_depth<build_resnet, 34> ||
         build == with_depth<build_resnet, 50>;
}

void check_rate(const char* flag, double rate) {
  if (!(rate >= 0 && rate < 1)) fail_usage("{}: expected a value in [0, 1), found {}", flag, rate);
}

}  // namespace

std::span<const ModelInfo> model_list() { return kInfos; }

const ModelInfo& model_info(std::string_view name) { return find_model(name).info; }

std::unique_ptr<Module> create_model(std::string_view name, const ModelOptions& options) {
  const Entry& entry = find_model(name);
  ModelOptions o = options;
  if (o.num_classes == 0) o.num_classes = entry.info.num_classes;
  if (o.in_channels == 0) o.in_channels = entry.info.in_channels;
  if (o.num_classes < 1) fail_usage("--num-classes: expected 1 or more, found {}", o.num_classes);
  if (o.in_channels < 1) fail_usage("input channels: expected 1 or more, found {}", o.in_channels);
  check_rate("--drop", o.drop);
  check_rate("--drop-path", o.drop_path);
  if (o.drop_path > 0 && !entry.takes_drop_path) {
    fail_usage("--drop-path: {} has no residual blocks to drop: expected 0, found {}", name,
               o.drop_path);
  }
  if (o.base_width != 0 && (o.base_width < 0 || !takes_base_width(entry))) {
    fail_usage(
        "base width: expected 1 or more, and resnet18, resnet34 or resnet50; found {} and {}",
        o.base_width, name);
  }
  return entry.build(o);
}

}  // namespace convoy::nn
