// SPDX-License-Identifier: MIT
#pragma once
// JSON from outside: a file that was damaged, or was made to do harm. All errors are of kind data.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace convoy::apps {

// One value, nested at most 16 deep (the library prints a value by recursion), no key of an object
// twice. `name` is the text's in errors.
nlohmann::json parse_json(std::string_view text, const std::string& name);

// The text of a regular file of at most 16 MiB.
std::string read_json_text(const std::filesystem::path& file);

// A value as it stands there: the library would cut 3.7 down to 3 and wrap what is out of range.
// `key` is its name in errors.
std::int64_t integer(const nlohmann::json& value, const char* key, std::int64_t least,
                     std::int64_t most);

// For errors: the value's text, or its first 60 bytes.
std::string in_short(const nlohmann::json& value);

}  // namespace convoy::apps
