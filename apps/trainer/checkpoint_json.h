// SPDX-License-Identifier: MIT
#pragma once
// A checkpoint's two JSON files as text.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/trainer/checkpoint.h"
#include "runtime/crc32c.h"

namespace convoy::apps {

// Of state.json. Reading throws Error of kind data that names the file; what sizes memory or counts
// has been checked.
std::string state_text(const CheckpointState& state);
CheckpointState parse_state(std::string_view text, const std::string& name);

// Of manifest.json: what the files must be, by name.
using Manifest = std::map<std::string, FileChecksum>;
std::string manifest_text(std::int64_t step,
                          const std::vector<std::pair<std::string, FileChecksum>>& files);
Manifest parse_manifest(std::string_view text, const std::string& name);

}  // namespace convoy::apps
