// SPDX-License-Identifier: MIT
#pragma once
// From a configuration to the parts of a run.

#include <memory>

#include "apps/trainer/checkpoint.h"
#include "apps/trainer/config.h"
#include "apps/trainer/mix.h"
#include "apps/trainer/open_data.h"
#include "apps/trainer/ranks.h"
#include "data/loader.h"
#include "nn/ema.h"
#include "nn/grad_scaler.h"
#include "nn/lr_schedule.h"
#include "nn/module.h"
#include "nn/optimizer.h"

namespace convoy::apps {

// The policy of --on-bad-image; throws a usage error for another word.
data::BadSamples bad_samples(const DataConfig& config);

// One line on standard error: how many samples a loader has skipped, and the first three.
void report_skipped(const data::Loader& loader);

// --sim-schedule, --sim-async and --sim-seed; throws a usage error for another word.
void set_simulator(const SimulatorConfig& config);

// A mirrored digit is no digit: without a --hflip of the user's, classes decide.
TrainConfig with_flip_for(TrainConfig config, const data::Dataset& dataset);

// What the data flags say of any loader.
data::LoaderOptions loading(const DataConfig& config, const InputFormat& input,
                            const Device& device);
data::LoaderOptions train_loading(const TrainConfig& config, const InputFormat& input);
data::LoaderOptions val_loading(const TrainConfig& config, const InputFormat& input);

// Throws a usage error for flags out of range.
MixConfig mix_of(const TrainConfig& config);

// Initialised from the seed, or from --initial-checkpoint.
std::unique_ptr<nn::Module> make_model(const TrainConfig& config, int num_classes,
                                       const InputFormat& input);
// Throws a usage error when images of this size do not suit the model: one is tried.
// Leaves the model in evaluation mode.
void require_fit(nn::Module& model, const std::string& name, const data::ImageExtent& extent,
                 const Device& device);
nn::OptimizerOptions optimizer_options(const TrainConfig& config);
nn::EmaOptions ema_options(const TrainConfig& config);
// float16 searches its scale, or has that of --loss-scale; bfloat16 reaches as far as f32 and needs
// none.
nn::GradScalerOptions scaler_options(const TrainConfig& config);

// Are steps captured and replayed? By default where the device has graphs and one rank is alone;
// throws a usage error where --cuda-graph asks for them elsewhere.
bool use_graph(const TrainConfig& config, const Ranks& ranks);

// The length of the run in epochs, which --max-steps may cut; warm-up takes at most a tenth of it.
nn::LrSchedule make_schedule(const TrainConfig& config, std::int64_t steps_per_epoch);

// A fresh run's state.
CheckpointState start_state(const TrainConfig& config, const DataSource& data);

// Throws a usage error that lists what differs from the run that a checkpoint belongs to. Another
// number of threads, or other kernels, only give a note: bits may differ.
void require_same_run(const CheckpointState& saved, const CheckpointState& now);

}  // namespace convoy::apps
