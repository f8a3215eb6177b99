// SPDX-License-Identifier: MIT
#include "apps/trainer/config_text.h"

#include <filesystem>
#include <set>

#include "apps/trainer/config_json.h"
#include "apps/trainer/json_text.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

// Takes from a JSON object what describe() lists, and remembers which keys those are.
struct JsonReader {
  const nlohmann::json& json;
  const std::string& path;
  std::set<std::string> known = {};

  void group(const char*) {}
  template <class T>
  void operator()(const std::string& flag, T& field, const char*) {
    const std::string key = json_key(flag);
    known.insert(key);
    if (!json.contains(key)) return;
    const nlohmann::json& value = json.at(key);
    bool taken = true;
    try {
      // The library cuts 3.7 down to 3 and wraps what is out of range.
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        taken = value.is_number_integer() && (std::is_signed_v<T> || value.is_number_unsigned());
      }
      if (taken) value.get_to(field);
      if constexpr (std::is_integral_v<T>) taken = taken && nlohmann::json(field) == value;
    } catch (const nlohmann::json::exception&) {
      taken = false;
    }
    if (!taken) {
      fail_usage("--config {}: {} expects a value of the kind of {}, found {}", path, key,
                 in_short(nlohmann::json(field)), in_short(value));
    }
  }
};

nlohmann::json object_of(std::string_view text, const std::string& path) {
  nlohmann::json json;
  try {
    json = parse_json(text, path);
  } catch (const Error& error) {
    fail_usage("--config {}", error.what());
  }
  if (!json.is_object()) fail_usage("--config {}: expected one JSON object", path);
  return json;
}

}  // namespace

std::string json_key(const std::string& flag) {
  std::string key = flag.substr(0, flag.find(','));
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

void take_config(std::string_view text, const std::string& path, TrainConfig& config) {
  const nlohmann::json json = object_of(text, path);
  JsonReader reader{json, path};
  describe(config, reader);
  for (const auto& [key, value] : json.items()) {
    if (!reader.known.contains(key)) {
      fail_usage("--config {}: unknown key {}", path, in_short(key));
    }
  }
}

void read_config(const std::string& path, TrainConfig& config) {
  std::string text;
  try {
    text = read_json_text(path);
  } catch (const Error& error) {
    fail_usage("--config {}: expected a JSON file: {}", path, error.what());
  }
  take_config(text, path, config);
}

}  // namespace convoy::apps
