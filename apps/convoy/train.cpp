// SPDX-License-Identifier: MIT
#include "apps/trainer/train.h"

#include <CLI/CLI.hpp>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "data/catalog.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

constexpr int kStoppedBySignal = 75;

// The data set that the arguments name, or that the folder seems to hold.
std::string chosen_dataset(const Arguments& arguments) {
  const std::string folder = peek(arguments, "--data-dir", "");
  const std::string guess = folder.empty() ? "" : data::guess_dataset(folder);
  return data::dataset_preset(peek(arguments, "--dataset", guess.empty() ? "image_folder" : guess))
      .name;
}

}  // namespace

int run_train(const Arguments& arguments) {
  TrainConfig config = preset(chosen_dataset(arguments), peek(arguments, "--model", ""));
  CLI::App app("Train a model. Defaults depend on --dataset and --model; those shown are for " +
                   config.data.dataset + " and " + config.model + ".",
               "convoy train");
  describe(config, FlagAdder(app));
  if (!parse(app, arguments)) return 0;
  if (config.output.empty()) config.output = "output/" + config.data.dataset + "-" + config.model;
  const TrainResult result = train(config);
  if (result.interrupted) {
    fmt::print("stopped by a signal at step {}; go on with --resume {}\n", result.steps,
               result.checkpoint.string());
    return kStoppedBySignal;
  }
  fmt::print("top1 {:.2f} top5 {:.2f} loss {:.4f} on {} held-out images; checkpoint {}\n",
             result.last.top1(), result.last.top5(), result.last.loss(), result.last.count,
             result.checkpoint.string());
  return 0;
}

}  // namespace convoy::apps
