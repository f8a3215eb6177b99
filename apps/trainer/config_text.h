// SPDX-License-Identifier: MIT
#pragma once
// A training run's configuration as a JSON file.

#include <string>
#include <string_view>

#include "apps/trainer/config.h"

namespace convoy::apps {

// A flag's name in JSON: "batch-size,-b" is batch_size.
std::string json_key(const std::string& flag);

// Sets the fields that a JSON file lists, by their flags' names with underscores, as args.json has
// them. Throws a usage error that names an unknown key or a value of the wrong kind.
void read_config(const std::string& path, TrainConfig& config);
// The same of its text.
void take_config(std::string_view text, const std::string& path, TrainConfig& config);

}  // namespace convoy::apps
