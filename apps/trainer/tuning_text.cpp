// SPDX-License-Identifier: MIT
#include "apps/trainer/tuning_text.h"

#include "apps/trainer/json_text.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

bool is_table(const nlohmann::json& json) {
  const auto has = [&](const char* key, auto is) {
    return json.contains(key) && (json.at(key).*is)();
  };
  using Json = nlohmann::json;
  return json.is_object() && json.contains("format_version") &&
         json.at("format_version") == kTuningVersion && has("device", &Json::is_string) &&
         has("libraries", &Json::is_string) && has("variants", &Json::is_object);
}

}  // namespace

TuningText parse_tuning(std::string_view text, const std::string& name) {
  const nlohmann::json json = parse_json(text, name);
  if (!is_table(json)) {
    fail_data(
        "{}: expected a tuning table (format_version {}, device, libraries, variants), found "
        "something else",
        name, kTuningVersion);
  }
  TuningText table{json.at("device"), json.at("libraries"), {}};
  for (const auto& [key, variant] : json.at("variants").items()) {
    if (!variant.is_string()) {
      fail_data("{}: {} expects a variant's name, found {}", name, in_short(key),
                in_short(variant));
    }
    table.variants[key] = variant;
  }
  return table;
}

}  // namespace convoy::apps
