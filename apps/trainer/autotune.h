// SPDX-License-Identifier: MIT
#pragma once
// Which variant of each op is the fastest here: timed before any work begins, since a choice that
// is made while training would depend on the clock.
//
//   start_recording_ops();   …one step…   const auto ops = stop_recording_ops();
//   const TuningTable table = tune(ops, device, {});

#include <cstdio>

#include "apps/trainer/config.h"
#include "apps/trainer/ranks.h"
#include "kernels/tuning.h"

namespace convoy::apps {

// Seconds that one of an op's variants takes on the device, with operands of its own.
double time_variant(const TunableOp& op, const Device& device, const std::string& variant);

// The fastest variant of each op that `known` has no entry for, of those that the kernel family
// allows, and the entries of `known`. plan's own choice gives way to one that is clearly faster
// only, so that chance decides seldom. One line of progress per op goes to `progress`, unless null.
TuningTable tune(const std::map<std::string, TunableOp>& ops, const Device& device,
                 TuningTable known, std::FILE* progress = nullptr);

// Sets --kernels and the table that the run is to use: that of --tuning-table, or, where a run goes
// on, its own; with --autotune completed, and written to --tuning-table if there is one. Rank 0
// times, and its table is everyone's.
void choose_kernels(const TrainConfig& config, Ranks& ranks);
// The run's own table.
std::filesystem::path tuning_file(const TrainConfig& config);

// Every op that a training step and an evaluation of this run plan. Model, optimizer and data are
// built for it and go again.
std::map<std::string, TunableOp> ops_of_run(const TrainConfig& config);

}  // namespace convoy::apps
