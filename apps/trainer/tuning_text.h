// SPDX-License-Identifier: MIT
#pragma once
// The text of a tuning table's file (apps/trainer/kernel_choice.h says how it looks).

#include <map>
#include <string>
#include <string_view>

namespace convoy::apps {

inline constexpr int kTuningVersion = 1;  // format_version

struct TuningText {
  std::string device, libraries;
  std::map<std::string, std::string> variants;
};

// Throws Error of kind data that names the file.
TuningText parse_tuning(std::string_view text, const std::string& name);

}  // namespace convoy::apps
