// SPDX-License-Identifier: MIT
#pragma once
#include <optional>

#include "apps/convoy/command.h"
#include "apps/trainer/config.h"

namespace convoy::apps {

// Where a configuration starts: the preset of the data set and model that the arguments, the file
// of --config or the files in --data-dir name; then that file's values.
TrainConfig starting_config(const Arguments& arguments);

// What the arguments of `convoy train` ask for; none after --help, which is printed.
std::optional<TrainConfig> training_config(const Arguments& arguments);

}  // namespace convoy::apps
