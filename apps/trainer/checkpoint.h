// SPDX-License-Identifier: MIT
#pragma once
// Checkpoints: OUTPUT/checkpoints/step-00000123/ with model.safetensors, optimizer.safetensors,
// state.json, of a run that averages its weights model_ema.safetensors and, written last,
// manifest.json (size and CRC-32C of the others). The folder gets its name when all is in it. No
// file holds a time, a host or a path: equal runs give equal bytes.
//
//   save_checkpoint(output, state, {model, store, optimizer}, keep);
//   const fs::path folder = find_checkpoint(output);      // newest complete one
//   const CheckpointState state = load_state(folder);

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/trainer/open_data.h"
#include "nn/ema.h"
#include "nn/lr_schedule.h"
#include "nn/module.h"
#include "nn/optimizer.h"

namespace convoy::apps {

namespace fs = std::filesystem;

// state.json: all that is neither a parameter nor a moment.
struct CheckpointState {
  std::string model, dataset;
  std::vector<std::string> class_names;
  InputFormat input;
  double drop = 0, drop_path = 0;

  std::string optimizer;
  std::uint64_t seed = 0;
  int batch_size = 0, grad_accum_steps = 1, threads = 0;
  std::int64_t step = 0;                         // optimizer steps done
  std::int64_t epoch = 0;                        // where the next step is
  std::int64_t position = 0;                     // samples of that epoch that are done
  std::string amp = "off";                       // or its dtype
  std::string kernels = "own", tuning = "none";  // --kernels, and the tuning table's hash
  StepState report;                              // the last step's: loss scale, skipped steps
  double best_top1 = -1;
  nn::Plateau::State plateau;
};

// What has been trained.
struct Trained {
  const nn::Module& model;
  const nn::ParameterStore& store;
  const nn::Optimizer& optimizer;
  const nn::Ema* ema = nullptr;  // if weights are averaged
};

// Writes the checkpoint of state.step and removes older ones, so that `keep` are left up to it.
fs::path save_checkpoint(const fs::path& output, const CheckpointState& state,
                         const Trained& trained, int keep);

// What a rank that writes no checkpoint does while rank 0 saves: gives what it alone has.
void join_checkpoint(const Trained& trained);

// `path` may be a checkpoint, a run's output folder (its newest complete checkpoint) or its
// checkpoints folder. Damaged or unfinished checkpoints of a run are passed over, with a line on
// standard error; a damaged one that was named itself is an Error of kind data.
fs::path find_checkpoint(const fs::path& path);

// Checks the manifest first. Errors of kind data name the file, what was expected and found.
CheckpointState load_state(const fs::path& checkpoint);
void load_optimizer(const fs::path& checkpoint, nn::Optimizer& optimizer);
bool has_averages(const fs::path& checkpoint);
void load_averages(const fs::path& checkpoint, const nn::Module& model, nn::Ema& ema);

// Weights from a checkpoint, a run's folder or a safetensors file into a model.
void load_model(const fs::path& path, nn::Module& model);
void load_model(const fs::path& path, nn::Module& model, nn::ParameterStore& store);
// The averages of a checkpoint, or of a run's newest, in place of the weights. Throws a usage error
// where there are none.
void load_averages(const fs::path& path, nn::Module& model, nn::ParameterStore& store);

bool is_checkpoint(const fs::path& path);
// Does a run's output folder hold any checkpoint, complete or damaged?
bool has_checkpoints(const fs::path& output);

}  // namespace convoy::apps
