// SPDX-License-Identifier: MIT
#pragma once
// The files of a run: args.json (what it was told), metrics.jsonl (a flushed line per step) and
// summary.csv (a line per epoch). A run that goes on after a resume appends.
//
//   RunLog log(folder, config, resumed_step);
//   log.step({...});   log.epoch({...});

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/trainer/config.h"

namespace convoy::apps {

struct StepMetrics {
  std::int64_t step = 0, epoch = 0;
  double loss = 0, top1 = 0, learning_rate = 0, images_per_second = 0;
  double step_ms = 0, data_ms = 0;  // the whole step; of which waiting for the batch
  double blocked_ms = 0;            // that the loader's workers waited for the step, all together
  double decode_ms = 0;             // that they read, decoded and framed
  std::int64_t bytes = 0;           // of pictures
  double loss_scale = 1;            // after the step
  std::int64_t skipped_steps = 0;   // so far
  std::vector<std::int64_t> optimizer_bytes;  // of each rank: optimizer state and masters
  std::int64_t images = 0;                    // of the step's batches
  int batches = 1;                            // whose losses the step adds up
};

struct EpochMetrics {
  std::int64_t epoch = 0, step = 0;
  double train_loss = 0, train_top1 = 0;
  double val_loss = 0, val_top1 = 0, val_top5 = 0;
  std::optional<double> ema_top1;  // of the averaged weights, if they are kept
  double learning_rate = 0, seconds = 0;
};

// The fields of a configuration as JSON text, with underscores for dashes.
std::string to_json(const TrainConfig& config);
// The same as "  name value" lines, two columns wide.
std::string to_table(const TrainConfig& config);

class RunLog {
 public:
  // Lines of a run that is resumed from `resumed_step` stay up to that step; those after it belong
  // to work that is done again, and go. 0: a new run.
  RunLog(const std::filesystem::path& folder, const TrainConfig& config, std::int64_t resumed_step);

  void step(const StepMetrics& metrics);
  void epoch(const EpochMetrics& metrics);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  static File open(const std::filesystem::path& path);

  File metrics_, summary_;
};

// Moves what `folder` holds of other work into folder/previous-NNN, so that nothing is lost and the
// newest checkpoint there is this run's: an earlier run's files; or, where the run of `checkpoint`
// goes on in its own folder, the checkpoints of later steps. An empty `checkpoint` is a new run.
// Returns that folder's path, empty when there was nothing to move.
std::filesystem::path set_other_work_aside(const std::filesystem::path& folder,
                                           const std::filesystem::path& checkpoint);

}  // namespace convoy::apps
