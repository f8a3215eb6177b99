// SPDX-License-Identifier: MIT
#include "apps/convoy/starting_config.h"

#include <CLI/CLI.hpp>

#include "apps/convoy/arguments.h"
#include "apps/trainer/config_text.h"
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

std::optional<TrainConfig> training_config(const Arguments& arguments) {
  TrainConfig config = starting_config(arguments);
  std::string config_file;
  CLI::App app("Train a model. Defaults depend on --dataset and --model; those shown are for " +
                   config.data.dataset + " and " + config.model + ".",
               "convoy train");
  app.add_option("-c,--config", config_file,
                 "JSON file of flags, as args.json; flags go before it");
  describe(config, FlagAdder(app));
  if (!parse(app, arguments)) return {};
  if (config.output.empty()) config.output = "output/" + config.data.dataset + "-" + config.model;
  if (config.fast_dev_run) {
    config.epochs = 1;
    config.limit_train_batches = config.limit_val_batches = 1;
  }
  return config;
}

}  // namespace convoy::apps
