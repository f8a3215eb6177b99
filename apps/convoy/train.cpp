// SPDX-License-Identifier: MIT
#include "apps/trainer/train.h"

#include "apps/convoy/command.h"
#include "apps/convoy/starting_config.h"
#include "apps/convoy/verdict.h"
#include "kernels/require.h"

namespace convoy::apps {
int run_train(const Arguments& arguments) {
  const std::optional<TrainConfig> config = training_config(arguments);
  if (!config) return 0;
  const TrainResult result = train(*config);
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
