// SPDX-License-Identifier: MIT
#include "apps/trainer/train.h"

#include <CLI/CLI.hpp>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/convoy/starting_config.h"
#include "apps/convoy/verdict.h"
#include "kernels/require.h"

namespace convoy::apps {
int run_train(const Arguments& arguments) {
  TrainConfig config = starting_config(arguments);
  std::string config_file;
  CLI::App app("Train a model. Defaults depend on --dataset and --model; those shown are for " +
                   config.data.dataset + " and " + config.model + ".",
               "convoy train");
  app.add_option("-c,--config", config_file,
                 "JSON file of flags, as args.json; flags go before it");
  describe(config, FlagAdder(app));
  if (!parse(app, arguments)) return 0;
  if (config.output.empty()) config.output = "output/" + config.data.dataset + "-" + config.model;
  if (config.fast_dev_run) {
    config.epochs = 1;
    config.limit_train_batches = config.limit_val_batches = 1;
  }
  const TrainResult result = train(config);
  if (result.interrupted) {
    fmt::print("stopped by a signal at step {}; go on with --resume {}\n", result.steps,
               result.checkpoint.string());
    return kStoppedBySignal;
  }
  fmt::print("top1 {:.2f} top5 {:.2f} loss {:.4f} on {} held-out images; checkpoint {}\n",
             result.last.top1(), result.last.top5(), result.last.loss(), result.last.count,
             result.checkpoint.string());
  if (result.ema) {
    fmt::print("averaged weights: top1 {:.2f} top5 {:.2f} loss {:.4f}\n", result.ema->top1(),
               result.ema->top5(), result.ema->loss());
  }
  return 0;
}

}  // namespace convoy::apps
