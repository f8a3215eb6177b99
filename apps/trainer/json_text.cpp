// SPDX-License-Identifier: MIT
#include "apps/trainer/json_text.h"

#include <set>
#include <span>
#include <vector>

#include "kernels/require.h"
#include "runtime/input_file.h"

namespace convoy::apps {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostDepth = 16;
constexpr std::uint64_t kMostBytes = 16 << 20;

// Sees the text as it is parsed.
class Strictness {
 public:
  explicit Strictness(const std::string& name) : name_(name) {}

  void see(Json::parse_event_t event, const Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (keys_.size() == kMostDepth) {
        fail_data("{}: expects values at most {} deep, found more", name_, kMostDepth);
      }
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key && !keys_.back().insert(value).second) {
      fail_data("{}: expects each key once, found {} twice", name_, in_short(value));
    }
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;  // of each object that has begun
};

}  // namespace

Json parse_json(std::string_view text, const std::string& name) {
  Strictness strictness(name);
  const auto see = [&](int, Json::parse_event_t event, Json& value) {
    strictness.see(event, value);
    return true;
  };
  Json json = Json::parse(text, see, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail_data("{}: is damaged: not JSON", name);
  return json;
}

std::string read_json_text(const std::filesystem::path& path) {
  const InputFile file(path);
  if (file.size() > kMostBytes) {
    fail_data("{}: expects at most {} bytes, found {}", path.string(), kMostBytes, file.size());
  }
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

std::int64_t integer(const Json& value, const char* key, std::int64_t least, std::int64_t most) {
  const auto number = value.is_number_integer() ? value.get<std::int64_t>() : 0;
  if (!value.is_number_integer() || value != number || number < least || number > most) {
    fail_data("{} expects an integer from {} to {}, found {}", key, least, most, in_short(value));
  }
  return number;
}

std::string in_short(const Json& value) {
  constexpr std::size_t kMost = 60;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kMost) text.replace(kMost, text.npos, "…");
  return text;
}

}  // namespace convoy::apps
