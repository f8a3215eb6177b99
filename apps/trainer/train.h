// SPDX-License-Identifier: MIT
#pragma once
// A whole training run: data, model, optimizer, schedule, logs, checkpoints.
//
//   const TrainResult result = train(config);

#include <cstdint>
#include <filesystem>
#include <optional>

#include "apps/trainer/config.h"
#include "apps/trainer/evaluate.h"

namespace convoy::apps {

struct TrainResult {
  std::int64_t steps = 0;
  EvalResult last;                   // of the last evaluation
  std::optional<EvalResult> ema;     // the same of averaged weights, if they are kept
  std::filesystem::path checkpoint;  // the newest one
  bool interrupted = false;          // by a signal; all is saved
};

// Everything that can be wrong with the configuration, the data and the checkpoint is found before
// the output folder is touched. Throws Error; of kind diverged when the loss is not finite.
TrainResult train(const TrainConfig& config);

}  // namespace convoy::apps
