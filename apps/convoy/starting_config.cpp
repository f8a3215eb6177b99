// SPDX-License-Identifier: MIT
#include "apps/convoy/starting_config.h"

#include "apps/convoy/arguments.h"
#include "data/catalog.h"

namespace convoy::apps {

TrainConfig starting_config(const Arguments& arguments) {
  const std::string file = peek(arguments, "--config", peek(arguments, "-c", ""));
  TrainConfig given;
  given.data.dataset = given.model = "";
  if (!file.empty()) read_config(file, given);
  const std::string folder = peek(arguments, "--data-dir", given.data.data_dir);
  const std::string guess = folder.empty() ? "" : data::guess_dataset(folder);
  std::string dataset = given.data.dataset.empty() ? guess : given.data.dataset;
  if (dataset.empty()) dataset = "image_folder";
  TrainConfig config = preset(data::dataset_preset(peek(arguments, "--dataset", dataset)).name,
                              peek(arguments, "--model", given.model));
  if (!file.empty()) read_config(file, config);
  return config;
}

}  // namespace convoy::apps
