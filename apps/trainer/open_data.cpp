// SPDX-License-Identifier: MIT
#include "apps/trainer/open_data.h"

#include "data/cached_dataset.h"
#include "data/catalog.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

std::vector<float> per_channel(const char* flag, const std::vector<float>& given,
                               const std::vector<float>& usual, std::int64_t channels) {
  const std::vector<float>& values = given.empty() ? usual : given;
  if (static_cast<std::int64_t>(values.size()) == channels) return values;
  if (values.size() == 1) return std::vector<float>(static_cast<std::size_t>(channels), values[0]);
  fail_usage(
      "--{} (a checkpoint brings its own) expects one number per channel of the images ({}), "
      "found {}",
      flag, channels, values.size());
}

InputFormat input_format(const DataConfig& c, data::ImageExtent extent) {
  if (c.img_size > 0) extent.height = extent.width = c.img_size;
  if (extent.count() == 0) {
    fail_usage("--img-size is needed: the images of {} differ in size", c.data_dir);
  }
  const data::DatasetPreset& usual = data::dataset_preset(c.dataset);
  const InputFormat input{extent, per_channel("mean", c.mean, usual.mean, extent.channels),
                          per_channel("std", c.std, usual.std, extent.channels)};
  for (float s : input.std) {
    if (!(s > 0)) fail_usage("--std expects positive numbers, found {}", s);
  }
  return input;
}

// The splits of an image folder have the names that the user gave; those of other sets are fixed.
std::string split_name(const DataConfig& c, Split split) {
  const data::DatasetPreset& usual = data::dataset_preset(c.dataset);
  const bool folder = usual.name == "image_folder";
  if (split == Split::train) return folder ? c.train_split : usual.train_split;
  return folder ? c.val_split : usual.val_split;
}

}  // namespace

DataSource open_data(const DataConfig& config, Split split,
                     const std::vector<std::string>& class_names) {
  data::dataset_preset(config.dataset);  // an unknown name is told first
  if (config.data_dir.empty()) fail_usage("--data-dir is needed: where the data set lies");
  std::shared_ptr<const data::Dataset> dataset =
      data::open_dataset(config.dataset, config.data_dir, split_name(config, split), class_names);
  for (const std::string& warning : dataset->warnings()) {
    fmt::print(stderr, "convoy: note: {}\n", warning);
  }
  const data::CacheKind cache = data::cache_kind(config.cache);
  if (cache != data::CacheKind::none) {
    dataset = std::make_shared<data::CachedDataset>(std::move(dataset), cache,
                                                    data::parse_bytes(config.cache_bytes));
  }
  const InputFormat input = input_format(config, dataset->extent());
  return {std::move(dataset), input};
}

}  // namespace convoy::apps
